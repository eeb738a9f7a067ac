"""Files in S3, read on in ranges and written once: with S3 slow, throttled and damaged, and with others at the same key."""

import base64
import hashlib
import io
import random
import secrets
import threading
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from app.batches import Output, Place, Source
from app.errors import DeadlineExceeded, StoreUnavailable
from app.storage import aws_clients, s3_outputs, s3_requests
from app.storage.aws_clients import CONNECT_S, call
from app.storage.s3_outputs import PART_BYTES
from app.storage.s3_streams import RANGE_BYTES, ObjectChanged, S3Place, S3Source
from tests.jobs import aws_faults
from tests.jobs.aws_faults import s3_refusal
from tests.jobs.aws_server import Fault
from tests.jobs.moto_stores import Aws, moto_names

LARGE = random.Random(5).randbytes(2 * PART_BYTES + 12_345)
KEY = "inbox/red flower+100%.csv"
TYPE = "text/csv"


@pytest.fixture
def aws() -> Iterator[Aws]:
    """S3 alone, empty."""
    with moto_names() as (server, names):
        yield Aws(server, names)


def put(aws: Aws, body: bytes, **more: Any) -> None:
    call("s3", "put_object", Bucket=aws.names.bucket, Key=KEY, Body=body, **more)
    aws.server.requests.clear()


def source_of(aws: Aws, **more: Any) -> S3Source:
    found = S3Source.find(aws.names.bucket, KEY, **more)
    assert found is not None
    aws.server.requests.clear()
    return found


def kept(aws: Aws, key: str) -> bytes | None:
    return S3Place(aws.names.bucket).read(key)


def uploads(aws: Aws) -> list[Any]:
    return call("s3", "list_multipart_uploads", Bucket=aws.names.bucket).get("Uploads", [])


def pass_on(moto: Any, environ: Any, start_response: Any) -> Any:
    """No fault: the one after it is for a later request."""
    return moto(environ, start_response)


def test_they_are_what_batches_ask_for(aws: Aws) -> None:
    """Source, place and output are those of the protocols, which a type checker of the tests would say."""
    put(aws, b"a")
    source: Source = source_of(aws)
    place: Place = S3Place(aws.names.bucket, "out/")
    with place.create("a", TYPE) as output:
        made: Output = output

    assert (f"s3://{aws.names.bucket}/{KEY}", 1) == (source.name, source.size)
    assert isinstance(made, s3_outputs.S3Output)


def test_a_file_is_read_on_in_ranges(aws: Aws) -> None:
    """All bytes come, in as many requests as there are ranges of 4 MiB."""
    put(aws, LARGE)
    digest = hashlib.sha256()
    with source_of(aws).open() as stream:
        while piece := stream.read(100_000):
            digest.update(piece)

    assert hashlib.sha256(LARGE).digest() == digest.digest()
    assert 3 == aws.server.asked("GET")


class Ranges:
    """An S3 outside of this process's memory: ranges of zeros, and what was asked for."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[tuple[int, int]] = []
        monkeypatch.setattr(aws_clients, "send", self._send)

    def _send(self, service: str, operation: str, arguments: dict[str, Any]) -> Any:
        start, end = (int(number) for number in arguments["Range"].removeprefix("bytes=").split("-"))
        self.asked.append((start, end + 1 - start))
        return {"Body": io.BytesIO(bytes(end + 1 - start))}


def test_one_range_is_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long a file is, one range of it is in memory beside what is wanted."""
    Ranges(monkeypatch)
    with S3Source("bucket", KEY, 40 * RANGE_BYTES, "etag").open() as stream:
        tracemalloc.start()
        while stream.read(100_000):
            pass
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert peak < 1.5 * RANGE_BYTES


def test_a_jump_reads_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a jump a range is short, and from there on each one is twice as long until they are as long as ever."""
    s3, mib = Ranges(monkeypatch), 1024 * 1024
    with S3Source("bucket", KEY, 40 * RANGE_BYTES, "etag").open() as stream:
        stream.seek(20 * RANGE_BYTES)
        stream.read(10 * mib)

    assert [mib, 2 * mib, RANGE_BYTES, RANGE_BYTES] == [length for _, length in s3.asked]
    assert 20 * RANGE_BYTES == s3.asked[0][0]


def test_lines_and_places(aws: Aws) -> None:
    """A stream is read by lines and from any place, as an open file is."""
    put(aws, LARGE)
    pattern = io.BytesIO(LARGE)
    with source_of(aws).open() as stream:
        for offset, whence in [(-9, io.SEEK_END), (5, io.SEEK_SET), (RANGE_BYTES - 3, io.SEEK_SET), (100, io.SEEK_CUR), (0, io.SEEK_END)]:
            assert pattern.seek(offset, whence) == stream.seek(offset, whence)
            assert pattern.read(7) == stream.read(7)
            assert pattern.tell() == stream.tell()
        pattern.seek(0)
        stream.seek(0)

        assert [pattern.readline() for _ in range(50)] == [stream.readline() for _ in range(50)]
        assert stream.seekable()
        with pytest.raises(ValueError, match="beginning"):
            stream.raw.seek(-1)  # type: ignore[attr-defined]


def test_the_end_of_a_file_costs_its_end(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """What stands at the end, as Parquet's table of contents does, is read without the rest."""
    put(aws, LARGE)
    ranges = []
    passed = aws_clients.send

    def told(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        ranges.append(arguments.get("Range", ""))
        return passed(service, operation, arguments)

    source = source_of(aws)
    monkeypatch.setattr(aws_clients, "send", told)
    with source.open() as stream:
        stream.seek(-8, io.SEEK_END)

        assert LARGE[-8:] == stream.read()
    assert [f"bytes={len(LARGE) - 8}-{len(LARGE) - 1}"] == ranges


def test_an_empty_file(aws: Aws) -> None:
    """Of an empty file no range is asked for: there is none."""
    put(aws, b"")
    with source_of(aws).open() as stream:
        assert b"" == stream.read()
    assert 0 == aws.server.asked("GET")


def test_what_is_said_with_an_object(aws: Aws) -> None:
    """Size, version and metadata are those of the object; without versions its ETag names the bytes."""
    put(aws, b"1,2\n", Metadata={"Model": "iris", "version": "2"})
    source = source_of(aws)

    assert (4, {"model": "iris", "version": "2"}, "") == (source.size, source.metadata, source.version_id)
    assert hashlib.md5(b"1,2\n").hexdigest() == source.version


def test_no_such_object(aws: Aws) -> None:
    """There is no source of what is not there."""
    assert S3Source.find(aws.names.bucket, "none") is None


def versioned(aws: Aws) -> None:
    call("s3", "put_bucket_versioning", Bucket=aws.names.bucket, VersioningConfiguration={"Status": "Enabled"})


def test_a_version_stays_what_it_is(aws: Aws) -> None:
    """A version is read to its end, whatever is put over it in the middle, and found again by its id (F-50)."""
    versioned(aws)
    put(aws, LARGE)
    source = source_of(aws)
    with source.open() as stream:
        head = stream.read(1000)
        put(aws, b"others")

        assert LARGE == head + stream.read()
    again = source_of(aws, version_id=source.version_id)
    assert (source.version_id, source.version_id, len(LARGE)) == (again.version_id, again.version, again.size)
    assert source.version != source_of(aws).version


def test_a_deleted_version(aws: Aws) -> None:
    """Neither a deleted object nor the mark of its deletion is a source; a version before it still is one."""
    versioned(aws)
    put(aws, b"a")
    before = source_of(aws)
    mark = call("s3", "delete_object", Bucket=aws.names.bucket, Key=KEY)["VersionId"]

    assert S3Source.find(aws.names.bucket, KEY) is None
    assert S3Source.find(aws.names.bucket, KEY, mark) is None
    assert b"a" == source_of(aws, version_id=before.version_id).read(0, 1)


def test_a_bucket_that_once_had_no_versions(aws: Aws) -> None:
    """The version "null" is none that could be pinned: the ETag names the bytes."""
    put(aws, b"a")
    aws.server.fail("HEAD", aws_faults.with_header("x-amz-version-id", "null"))
    source = source_of(aws, version_id="null")

    assert ("", hashlib.md5(b"a").hexdigest()) == (source.version_id, source.version)


@pytest.mark.parametrize("body", [b"others", bytes(len(LARGE)), None], ids=["shorter", "as long", "deleted"])
def test_a_file_that_is_overwritten_in_the_middle(aws: Aws, body: bytes | None) -> None:
    """No range of other bytes is ever taken for the rest of a file."""
    put(aws, LARGE)
    with source_of(aws).open() as stream:
        stream.read(1000)
        if body is None:
            call("s3", "delete_object", Bucket=aws.names.bucket, Key=KEY)
        else:
            put(aws, body)

        with pytest.raises(ObjectChanged) as raised:
            stream.read()
    assert raised.value.retryable
    assert aws.names.bucket not in raised.value.detail


DAMAGED: dict[str, Fault] = {
    "truncated": aws_faults.truncated,
    "dropped": aws_faults.dropped,
    "slow down": s3_refusal(503, "SlowDown"),
    "internal error": s3_refusal(500, "InternalError"),
    "silent": aws_faults.silent,
    "another length": aws_faults.answer(206, "half of it"),
}


@pytest.mark.parametrize("fault", list(DAMAGED.values()), ids=list(DAMAGED))
def test_a_damaged_range_is_read_again(aws: Aws, fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that was cut off, throttled, failed or did not come is asked for again, and the others are not (F-44)."""
    monkeypatch.setitem(aws_clients.READ_S, "s3", 0.5)
    monkeypatch.setattr(aws_clients, "_clients", {})
    put(aws, LARGE)
    aws.server.fail("GET", pass_on, fault, fault)
    with source_of(aws).open() as stream:
        assert LARGE == stream.read()
    assert 5 == aws.server.asked("GET")


@pytest.mark.parametrize("fault", [aws_faults.truncated, s3_refusal(503, "SlowDown")], ids=["truncated", "slow down"])
def test_a_range_that_stays_damaged(aws: Aws, fault: Fault) -> None:
    """After five attempts the file is unavailable for now; half a range is never handed out."""
    put(aws, LARGE)
    aws.server.fail("GET", *[fault] * 40)
    with source_of(aws).open() as stream, pytest.raises(StoreUnavailable):
        stream.read()


def test_a_slow_range_is_left(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A range that comes byte by byte keeps every time-out of the socket, and is left for another try (F-44)."""
    monkeypatch.setattr(s3_requests, "_LONGEST_WAIT_S", 0.2)
    put(aws, b"1,2,3\n" * 1000)
    aws.server.fail("GET", aws_faults.byte_by_byte)
    with source_of(aws).open() as stream:
        assert b"1,2,3\n" * 1000 == stream.read()
    assert 2 == aws.server.asked("GET")


def test_a_deadline_ends_the_reading(aws: Aws) -> None:
    """When the deadline leaves no time for another attempt, the time was up: that is another error than a store that fails."""
    put(aws, b"1,2,3\n" * 1000)
    aws.server.fail("GET", *[aws_faults.byte_by_byte] * 9)
    source = source_of(aws)._replace(deadline=time.monotonic() + 2 * CONNECT_S)
    with source.open() as stream, pytest.raises(DeadlineExceeded):
        stream.read()


@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket")])
def test_a_right_that_is_missing(aws: Aws, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """A right or a bucket that is missing is the store's failure, neither a deleted nor a changed file, and is logged by its code alone."""
    put(aws, b"a")
    source = source_of(aws)
    aws.server.fail("GET", s3_refusal(status, code, f"arn:aws:s3:::{aws.names.bucket}"))

    with pytest.raises(StoreUnavailable) as raised:
        source.read(0, 1)
    assert not isinstance(raised.value, ObjectChanged)
    assert code in caplog.text
    assert aws.names.bucket not in raised.value.detail + caplog.text


SIZES = {"empty": 0, "small": 1000, "a part": PART_BYTES, "parts": 2 * PART_BYTES, "parts and a rest": 2 * PART_BYTES + 77}


@pytest.mark.parametrize("size", list(SIZES.values()), ids=list(SIZES))
def test_what_is_written_is_there_after_the_commit(aws: Aws, size: int) -> None:
    """A file of any size is there whole with its type and its checksum after the commit, and not before."""
    body = LARGE[:size]
    with S3Place(aws.names.bucket, "out/").create("p.csv", TYPE) as output:
        for start in range(0, size, 700_001):
            output.write(body[start : start + 700_001])
        assert kept(aws, "out/p.csv") is None

        assert output.commit()
    found = call("s3", "get_object", Bucket=aws.names.bucket, Key="out/p.csv", Range=f"bytes=0-{size}") if size else {}
    assert body == (found["Body"].read() if size else kept(aws, "out/p.csv"))
    head = call("s3", "head_object", Bucket=aws.names.bucket, Key="out/p.csv", ChecksumMode="ENABLED")
    assert TYPE == head["ContentType"]
    if size < PART_BYTES:
        assert base64.b64encode(hashlib.sha256(body).digest()).decode() == head["ChecksumSHA256"]
    assert [] == uploads(aws)


def test_small_files_are_one_request(aws: Aws) -> None:
    """A file below a part is put in one request, and nothing else is asked."""
    with S3Place(aws.names.bucket, "out/").create("p.csv", TYPE) as output:
        output.write(b"a\n")
        output.write(b"b\n")
        output.commit()

    assert ["PUT"] == aws.server.requests


def test_a_large_file_is_never_whole_in_memory(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a file in parts, about one part is in memory, however long it gets."""
    sent = []

    def counted(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        # Not to the server, which would keep it in this very process.
        sent.append(len(arguments.get("Body", b"")))
        return {"UploadId": "1", "ETag": "2"}

    monkeypatch.setattr(aws_clients, "send", counted)
    piece = bytes(1024 * 1024)
    with S3Place("bucket").create("a", TYPE) as output:
        tracemalloc.start()
        for _ in range(200):
            output.write(piece)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        output.commit()

    assert 200 * len(piece) == sum(sent)
    assert peak < 3 * PART_BYTES


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES], ids=["small", "parts"])
def test_what_was_not_committed_is_not_there(aws: Aws, size: int) -> None:
    """Whatever ends the writing before the commit leaves neither a file nor parts."""
    with suppress(KeyboardInterrupt), S3Place(aws.names.bucket).create("a", TYPE) as output:
        output.write(LARGE[:size])
        raise KeyboardInterrupt

    assert (None, []) == (kept(aws, "a"), uploads(aws))


@pytest.mark.parametrize("size", [10, 2 * PART_BYTES], ids=["small", "parts"])
def test_the_first_one_stays(aws: Aws, size: int) -> None:
    """A file that is there is left as it is, and whoever comes second is told so; of his parts nothing is left."""
    call("s3", "put_object", Bucket=aws.names.bucket, Key="a", Body=b"first")
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        output.write(LARGE[:size])

        assert not output.commit()
    assert (b"first", []) == (kept(aws, "a"), uploads(aws))


@pytest.fixture
def one_at_a_time(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Aws:
    """moto looks for a key and puts it in two steps, where S3 has one: here its requests follow one another."""
    passed, lock = aws.server._moto, threading.Lock()

    def answered(environ: Any, start_response: Any) -> Any:
        with lock:
            return list(passed(environ, start_response))

    monkeypatch.setattr(aws.server, "_moto", answered)
    return aws


@pytest.mark.parametrize("size", [10, PART_BYTES + 1], ids=["small", "parts"])
def test_several_at_the_same_time(one_at_a_time: Aws, size: int) -> None:
    """Of writers who commit at the same time one has made the file, which is then his, and the others are told that they have not."""
    bodies = [secrets.token_bytes(8) + LARGE[:size] for _ in range(4)]
    made: dict[int, bool] = {}
    ready = threading.Barrier(len(bodies))

    def write(number: int) -> None:
        with S3Place(one_at_a_time.names.bucket).create("a", TYPE) as output:
            output.write(bodies[number])
            ready.wait()
            made[number] = output.commit()

    writers = [threading.Thread(target=write, args=[number]) for number in range(len(bodies))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    (winner,) = [number for number, is_made in made.items() if is_made]
    assert 4 == len(made)
    found = call("s3", "get_object", Bucket=one_at_a_time.names.bucket, Key="a", Range="bytes=0-7")["Body"].read()
    assert bodies[winner][:8] == found
    assert [] == uploads(one_at_a_time)


def test_a_lost_answer_of_a_small_file(aws: Aws) -> None:
    """The next attempt finds the file there, looks whose it is, and counts it as made (F-43)."""
    aws.server.fail("PUT", aws_faults.lost)
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        output.write(b"body")

        assert output.commit()
    assert ["PUT", "PUT", "HEAD"] == aws.server.requests
    assert b"body" == kept(aws, "a")


def test_a_lost_answer_of_an_upload_in_parts(aws: Aws) -> None:
    """So it is with an upload in parts, whether S3 remembers the upload or calls it unknown or refused (F-43)."""
    for number, later in enumerate([pass_on, s3_refusal(404, "NoSuchUpload"), s3_refusal(412, "PreconditionFailed")]):
        aws.server.fail("POST", pass_on, aws_faults.lost, later)
        with S3Place(aws.names.bucket).create(f"a{number}", TYPE) as output:
            output.write(LARGE[: PART_BYTES + 1])

            assert output.commit()
    assert [] == uploads(aws)


def test_a_commit_whose_outcome_nobody_says(aws: Aws) -> None:
    """Where every answer is lost, the file that is there decides: ours counts as made, none is the store's failure."""
    aws.server.fail("PUT", *[aws_faults.lost] * 5)
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        assert output.commit()

    aws.server.fail("PUT", *[aws_faults.dropped] * 5)
    with S3Place(aws.names.bucket).create("b", TYPE) as output, pytest.raises(StoreUnavailable):
        output.commit()
    assert kept(aws, "b") is None


def test_an_upload_that_somebody_ended(aws: Aws) -> None:
    """An upload that is gone before its commit, with no file there, is the store's failure and no success."""
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        output.write(LARGE[:PART_BYTES])
        for upload in uploads(aws):
            call("s3", "abort_multipart_upload", Bucket=aws.names.bucket, Key="a", UploadId=upload["UploadId"])

        with pytest.raises(StoreUnavailable, match="CompleteMultipartUpload"):
            output.commit()
    assert kept(aws, "a") is None


@pytest.mark.parametrize("fault", [s3_refusal(503, "SlowDown"), aws_faults.dropped, aws_faults.lost], ids=["slow down", "dropped", "lost"])
def test_a_part_is_sent_again(aws: Aws, fault: Fault) -> None:
    """A part that was throttled, or whose answer was lost, is sent again under its number."""
    aws.server.fail("PUT", fault, fault)
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        output.write(LARGE)
        assert output.commit()

    head = call("s3", "head_object", Bucket=aws.names.bucket, Key="a")
    assert len(LARGE) == head["ContentLength"]
    assert LARGE[-9:] == call("s3", "get_object", Bucket=aws.names.bucket, Key="a", Range="bytes=-9")["Body"].read()


def test_two_conditional_writes_at_a_time(aws: Aws) -> None:
    """A conflict of two conditional writes is no answer: the next attempt hears who was first (S3 User Guide, "Conditional writes")."""
    aws.server.fail("PUT", s3_refusal(409, "ConditionalRequestConflict"))
    with S3Place(aws.names.bucket).create("a", TYPE) as output:
        assert output.commit()
    assert 2 == aws.server.asked("PUT")


def test_a_right_to_write_that_is_missing(aws: Aws) -> None:
    """Without the right to write, nothing counts as written."""
    aws.server.fail("PUT", s3_refusal(403, "AccessDenied"))
    with S3Place(aws.names.bucket).create("a", TYPE) as output, pytest.raises(StoreUnavailable):
        output.commit()
    assert kept(aws, "a") is None


def test_the_error_of_the_writing_is_told(aws: Aws) -> None:
    """Where S3 does not even take the end of an upload, the error that came first is the one that is raised."""
    aws.server.fail("DELETE", s3_refusal(403, "AccessDenied"))
    output = S3Place(aws.names.bucket).create("a", TYPE)
    output.write(LARGE[:PART_BYTES])

    with pytest.raises(KeyError), output:
        raise KeyError
    assert 1 == aws.server.asked("DELETE")


@pytest.mark.parametrize("body", [b"new", LARGE])
def test_an_output_that_replaces(aws: Aws, body: bytes) -> None:
    """A file that is to take another's place does, in one request and in parts, and its size is told."""
    place = S3Place(aws.names.bucket, "out/")
    assert place.size("p.csv") is None
    for content in (b"old", body):
        with place.create("p.csv", TYPE, replace=True) as output:
            output.write(content)
            assert output.commit()

    assert (len(body), body) == (place.size("p.csv"), kept(aws, "out/p.csv"))
