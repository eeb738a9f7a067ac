"""Files of a listing, predicted as wholes by the batch machine; see :mod:`app.triggers.distributed_map`."""

from typing import NamedTuple

from app.batches.files import Answering, predict_file
from app.batches.machine_run import Batch
from app.errors import Unreadable
from app.prediction import PredictionRequest
from app.storage.s3_streams import S3Place, S3Source

_ACCEPTS = {"csv": "text/csv", "jsonl": "application/jsonl"}


class Predicted(NamedTuple):
    """What a file came to: rows, those of them without an answer, and the folder of its results below the run's."""

    rows: int
    failures: int
    folder: str


def predict_object(answering: Answering, key: str, batch: Batch, deadline: float) -> Predicted:
    """Predict an object, if that was not done before, into ``files/`` of the run and there into its own folder below the listing's prefix.

    :param deadline: ``time.monotonic()`` seconds.
    :raises Problem: see :func:`app.batches.files.predict_file`; also where the object is not there any more.
    """
    source = S3Source.find(batch.bucket, key, deadline=deadline)
    if source is None:
        raise Unreadable("The file is not there any more.")
    folder, _, _ = key.removeprefix(batch.key).rpartition("/")
    prefix = f"files/{folder}/" if folder else "files/"
    place = S3Place(batch.output_bucket, batch.output_prefix + prefix)
    request = PredictionRequest(
        b"", batch.model or None, batch.model_version or None, content_type=source.content_type, accept=_ACCEPTS.get(batch.output_format)
    )
    done = predict_file(source, place, request, answering, deadline=deadline)
    return Predicted(done.rows, done.failures, f"{prefix}{done.folder}/")
