"""What was done with a file, as ``manifest.json`` beside its predictions says it. It is written last: where it is, all is."""

import datetime as dt
from typing import Any, NamedTuple

import orjson

from app.batches import Place
from app.errors import StoreUnavailable

NAME = "manifest.json"


class Manifest(NamedTuple):
    """Names are below the place that was written to; ``errors`` is None where every row has an answer.

    ``predictions`` is None where no row has an answer and what a row without one looks like is not known, or those are left out.

    Timings are seconds: ``read``, ``decode``, ``run``, ``encode`` and ``write``, which may be done beside each other, and ``total``.
    """

    folder: str
    rows: int
    failures: int
    model: str
    version: str
    digest: str
    source: str
    source_version: str
    source_bytes: int
    content_type: str
    predictions: str | None
    predictions_bytes: int
    errors: str | None
    # None in a manifest that does not say.
    errors_bytes: int | None
    timings: dict[str, float]
    started: str
    ended: str
    # Whether it was found, rather than made now; not written.
    found: bool = False

    def as_object(self) -> dict[str, Any]:
        """As it is written."""
        predictions = {"name": self.predictions, "content_type": self.content_type, "bytes": self.predictions_bytes}
        return {
            "rows": self.rows,
            "failures": self.failures,
            "model": {"name": self.model, "version": self.version, "digest": self.digest},
            "source": {"name": self.source, "version": self.source_version, "bytes": self.source_bytes},
            "predictions": predictions if self.predictions else None,
            "errors": {"name": self.errors, "bytes": self.errors_bytes} if self.errors else None,
            "timings_s": {name: round(seconds, 6) for name, seconds in self.timings.items()},
            "started": self.started,
            "ended": self.ended,
        }

    def as_json(self) -> bytes:
        """The file's bytes."""
        return orjson.dumps(self.as_object(), option=orjson.OPT_INDENT_2) + b"\n"


def read(folder: str, data: bytes) -> Manifest:
    """A manifest that was written before.

    :raises StoreUnavailable: for one that is damaged.
    """
    try:
        found = orjson.loads(data)
        model, source, predictions = found["model"], found["source"], found["predictions"] or {}
        errors = found["errors"] or {}
        return Manifest(
            folder,
            found["rows"],
            found["failures"],
            model["name"],
            model["version"],
            model["digest"],
            source["name"],
            source["version"],
            source["bytes"],
            predictions.get("content_type", ""),
            predictions.get("name"),
            predictions.get("bytes", 0),
            errors.get("name"),
            errors.get("bytes"),
            found["timings_s"],
            found["started"],
            found["ended"],
            found=True,
        )
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        raise StoreUnavailable(
            f"{NAME} of an earlier prediction of this file is damaged; delete it to have the file predicted again."
        ) from error


def is_whole(made: Manifest, place: Place) -> bool:
    """Whether the files that it tells of are there, of the sizes that it says."""
    files = [(made.predictions, made.predictions_bytes), (made.errors, made.errors_bytes)]
    return all(name is None or (found := place.size(name)) == size or (size is None and found is not None) for name, size in files)


def now() -> str:
    """The time, as it stands in manifests."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
