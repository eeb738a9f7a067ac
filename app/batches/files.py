"""One file predicted: chunk by chunk, in bounded memory, into a folder that is named for the model's and the file's very bytes.

``<stem>/<16 hex digits>/`` holds ``predictions.<suffix>``, ``errors.jsonl`` where rows failed, and ``manifest.json``, which comes last. The
digits are of a hash of model digest, source version and format, so that the same file is predicted once however often it is asked for.

A failed row keeps its place among the predictions, as a line of ``null`` or of empty cells, a null or a NaN: whoever joins them with the
input line by line would otherwise join wrongly, and in silence. ``keep_failed=False`` leaves it out. Where no row has an answer, that of a
made-up row (:mod:`app.batches.example_row`) says how wide such a place is.
"""

import hashlib
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import chain
from pathlib import PurePosixPath
from typing import BinaryIO, NamedTuple, Protocol

from app.batches import Chunk, Format, Place, Source, answers, example_row, formats, manifest
from app.batches.in_order import in_order
from app.batches.manifest import Manifest
from app.batches.rows import Piece, answered
from app.batches.tally import Progress, Tally
from app.batches.writing import Target, Writing
from app.errors import DeadlineExceeded
from app.inference.loading import Loaded
from app.inference.repository import Repository
from app.prediction import PredictionRequest, PredictionResponse, Predictor
from app.report import Report

# Reading CSV takes up to 45 times as much memory; larger chunks are not faster (benchmarks/files.py).
CHUNK_BYTES = 128 * 1024
_UNSAFE = re.compile(r"[^\w.-]+")
_LONGEST_STEM = 80


class Answering(Protocol):
    """The predictor, and the models that it answers from."""

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        """See :meth:`app.prediction.Predictor.answer`."""

    def loaded(self, model: str | None, version: str | None) -> Loaded:
        """See :meth:`app.inference.repository.Repository.get`."""


class FilePredictor(NamedTuple):
    """A predictor and its repository, as :class:`Answering`."""

    predictor: Predictor
    repository: Repository

    def answer(self, request: PredictionRequest, report: Report | None = None) -> PredictionResponse:
        """See :meth:`app.prediction.Predictor.answer`."""
        return self.predictor.answer(request, report)

    def loaded(self, model: str | None, version: str | None) -> Loaded:
        """See :meth:`app.inference.repository.Repository.get`."""
        return self.repository.get(model, version)


def predict_file(
    source: Source,
    place: Place,
    asked: PredictionRequest,
    predictor: Answering,
    *,
    deadline: float | None,
    chunk_bytes: int = CHUNK_BYTES,
    progress: Callable[[Progress], None] | None = None,
    threads: int = 1,
    max_failures: float | None = None,
    keep_failed: bool = True,
) -> Manifest:
    """Predict a file, if that was not done before, or what was done is not there any more.

    :param asked: model, version, outputs, ``Accept`` and the file's content type; its body is not looked at.
    :param deadline: ``time.monotonic()`` seconds.
    :param threads: chunks that are answered at once.
    :param max_failures: see :class:`app.batches.tally.Tally`.
    :raises DeadlineExceeded: in the middle, with nothing written.
    :raises Invalid: for more failures than may be; the message tells the first.
    :raises Problem: for a file that is wrong as a whole, and for what may succeed later.
    """
    loaded, started = predictor.loaded(asked.model, asked.version), manifest.now()
    form = formats.format_of(source.name, asked.content_type, loaded.signature)
    offer = answers.chosen(asked.accept, form.answer, in_rows=form.in_rows)
    folder = _folder(source, loaded.digest, offer, asked, keep_failed=keep_failed)
    if (found := _found(place, folder)) and manifest.is_whole(found, place):
        return found
    # A newer version that comes in the middle is not for the rest of a file.
    pinned = asked._replace(model=loaded.name, version=loaded.version, deadline=deadline)
    tally, to = Tally(max_failures), Target(place, folder, replace=found is not None)
    begin = partial(Writing, to, loaded.signature, tally, outputs=asked.outputs, keep_failed=keep_failed)
    with ExitStack() as opened:
        with source.open() as stream:
            chunks = _chunks(form, stream, chunk_bytes, tally)
            first = next(chunks)
            # Only now a file of CSV knows whether it has names.
            offer = answers.chosen(asked.accept, form.answer, in_rows=form.in_rows)
            writing = opened.enter_context(begin(offer))
            pinned = pinned._replace(accept=writing.accept)
            _write(in_order(chain([first], chunks), _Asking(form, pinned, predictor), threads), writing, tally, source.size, progress)
        # Not before the source has said that it did not change meanwhile.
        writing.commit(partial(example_row.answer, pinned, loaded.signature, predictor.answer))
    return _signed(to, _manifest(source, loaded, writing, tally, folder=folder, started=started))


def _write(found: Iterator["_Answer"], writing: Writing, tally: Tally, size: int, progress: Callable[[Progress], None] | None) -> None:
    for pieces, phases, read in found:
        tally.add(phases)
        for piece in pieces:
            tally.count(piece)
            writing.put(piece)
        if progress:
            progress(Progress(tally.rows, tally.failures, read, size))
    tally.check_share()


def _manifest(source: Source, loaded: Loaded, writing: Writing, tally: Tally, *, folder: str, started: str) -> Manifest:
    return Manifest(
        folder,
        tally.rows,
        tally.failures,
        loaded.name,
        loaded.version,
        loaded.digest,
        source.name,
        source.version,
        source.size,
        writing.content_type,
        writing.predictions,
        writing.bytes,
        writing.errors,
        writing.errors_bytes if writing.errors else None,
        tally.total(),
        started,
        manifest.now(),
    )


def _folder(source: Source, digest: str, offer: str, asked: PredictionRequest, *, keep_failed: bool) -> str:
    stem = _UNSAFE.sub("_", PurePosixPath(source.name).stem).lstrip(".")[:_LONGEST_STEM] or "file"
    # Which of CSV's two forms it is follows from the file, if nobody says it.
    wanted = offer if asked.accept and "header" in asked.accept else offer.partition(";")[0]
    said = formats.said(source.name, asked.content_type)
    form = " ".join([wanted, said, *asked.outputs, *([] if keep_failed else ["without failed rows"])])
    return f"{stem}/{hashlib.sha256(chr(0).join([digest, source.version, form]).encode()).hexdigest()[:16]}"


def _found(place: Place, folder: str) -> Manifest | None:
    there = place.read(f"{folder}/{manifest.NAME}")
    return None if there is None else manifest.read(folder, there)


def _signed(to: Target, made: Manifest) -> Manifest:
    """Write the manifest, unless somebody else was faster: theirs is answered then."""
    with to.create(manifest.NAME, "application/json") as output:
        output.write(made.as_json())
        if output.commit():
            return made
    return _found(to.place, to.folder) or made


def _chunks(form: Format, stream: BinaryIO, chunk_bytes: int, tally: Tally) -> Iterator[tuple[Chunk, int]]:
    """The chunks, and the bytes that were read up to each."""
    chunks = form.chunks(stream, chunk_bytes)
    while True:
        with tally.timing("read"):
            chunk = next(chunks, None)
        if chunk is None:
            return
        yield chunk, stream.tell()


class _Answer(NamedTuple):
    """The pieces of a chunk, the seconds that they took, and the bytes that were read up to it."""

    pieces: list[Piece]
    phases: dict[str, float]
    read: int


class _Asking:
    """Answers chunks, in any thread."""

    def __init__(self, form: Format, asked: PredictionRequest, predictor: Answering) -> None:
        self._form, self._asked, self._predictor = form, asked, predictor

    def __call__(self, item: tuple[Chunk, int]) -> _Answer:
        chunk, read = item
        phases: dict[str, float] = {}

        def ask(part: Chunk) -> bytes:
            deadline = self._asked.deadline
            if deadline is not None and time.monotonic() >= deadline:
                raise DeadlineExceeded("The time was up in the middle of the file; nothing of it was written.")
            report = Report()
            try:
                return self._predictor.answer(self._asked._replace(body=part.body, content_type=part.content_type), report).body
            finally:
                for name, seconds in report.phases.items():
                    phases[name] = phases.get(name, 0.0) + seconds

        return _Answer(list(answered(chunk, self._form, ask)), phases, read)
