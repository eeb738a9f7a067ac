"""Results as records of a Firehose stream: a JSON object a line, so that what Firehose puts together is JSON Lines."""

from collections.abc import Sequence

import orjson

from app.errors import Problem
from app.results import Result
from app.results.json_record import record_of
from app.results.sending import Entry, Limits, Refusal, Service, kept, too_large
from app.storage.aws_clients import call

# "PutRecordBatch": 500 records, of 1,000 KiB each before base64, in a request of 4 MiB
# (https://docs.aws.amazon.com/firehose/latest/APIReference/API_PutRecordBatch.html).
_LARGEST = 1_024_000
_LIMITS = Limits(500, 4 * 1024**2)


class Firehose:
    """A delivery stream."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._service = Service("firehose", "put_record_batch", _LIMITS, self._send)

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        """Give results to the stream; a line may come twice, with one ``id``."""
        return kept(self._service, results, self._entry)

    @staticmethod
    def _entry(place: int, result: Result) -> Entry:
        line = orjson.dumps(record_of(result), option=orjson.OPT_APPEND_NEWLINE)
        if len(line) > _LARGEST:
            raise too_large(len(line), _LARGEST, "a Firehose stream")
        # The page leaves open whether the request counts before or after base64: this is after.
        return Entry(place, (len(line) + 2) // 3 * 4, {"Data": line})

    def _send(self, batch: Sequence[Entry]) -> list[Refusal | None]:
        records = [entry.content for entry in batch]
        answers = call("firehose", "put_record_batch", DeliveryStreamName=self._name, Records=records).get("RequestResponses", [])
        if len(answers) != len(batch):
            return [Refusal("", passes=True)] * len(batch)
        # What fails of a batch is Firehose's: ServiceUnavailableException or InternalFailure.
        return [None if answer.get("RecordId") else Refusal(answer.get("ErrorCode", ""), passes=True) for answer in answers]
