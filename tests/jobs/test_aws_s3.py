"""Bytes in S3 when they come damaged, slowly or not at all, and addresses in the hands of strangers."""

import base64
import hashlib
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from app.errors import StoreUnavailable
from app.storage import Found, Upload, aws_clients
from app.storage.aws_clients import CONNECT_S, within
from app.storage.s3 import S3Storage
from tests.jobs import aws_faults
from tests.jobs.aws_faults import s3_refusal
from tests.jobs.aws_server import Fault
from tests.jobs.moto_stores import Aws, environment

BODY = b"bytes of a payload " * 100
DIGEST = hashlib.sha256(BODY).hexdigest()
DAMAGED = {"truncated": aws_faults.truncated, "changed": aws_faults.changed, "dropped": aws_faults.dropped, "silent": aws_faults.silent}


@pytest.fixture
def kept(aws: Aws) -> Aws:
    """A storage that has the body under "a"."""
    assert DIGEST == aws.storage.put("a", BODY)
    aws.server.requests.clear()
    return aws


@pytest.mark.parametrize("digest", ["", DIGEST], ids=["any", "digest"])
@pytest.mark.parametrize("fault", list(DAMAGED.values()), ids=list(DAMAGED))
def test_a_damaged_body_is_read_again(kept: Aws, fault: Fault, digest: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that was cut off, came with another byte or did not come is asked for again, also where no digest was said (F-44)."""
    monkeypatch.setitem(aws_clients.READ_S, "s3", 0.3)
    monkeypatch.setattr(aws_clients, "_clients", {})
    kept.server.fail("GET", fault, fault)

    assert BODY == kept.storage.get("a", digest)
    assert 3 == kept.server.asked("GET")


@pytest.mark.parametrize("fault", [aws_faults.truncated, aws_faults.changed], ids=["truncated", "changed"])
def test_a_body_that_stays_damaged(kept: Aws, fault: Fault) -> None:
    """After five attempts the store is unavailable; half a body is never handed out."""
    kept.server.fail("GET", *[fault] * 9)

    with pytest.raises(StoreUnavailable) as raised:
        kept.storage.get("a", DIGEST)
    assert "S3 did not answer GetObject; whether it was done is not known. Try again in a moment." == raised.value.detail
    assert 5 == kept.server.asked("GET")


def test_a_slow_body_is_left(kept: Aws) -> None:
    """A body that comes byte by byte keeps every time-out of the socket, and is left while there is time for another try."""
    kept.server.fail("GET", aws_faults.byte_by_byte)
    with within(time.monotonic() + 4 * CONNECT_S):
        assert BODY == kept.storage.get("a", DIGEST)
    assert 2 == kept.server.asked("GET")

    kept.server.fail("GET", *[aws_faults.byte_by_byte] * 9)
    with pytest.raises(StoreUnavailable), within(time.monotonic() + 2 * CONNECT_S):
        kept.storage.get("a", DIGEST)


def test_another_digest_is_not_tried_again(kept: Aws) -> None:
    """Bytes that came as S3 keeps them and are not those asked for will not be others: one attempt."""
    with pytest.raises(StoreUnavailable):
        kept.storage.get("a", hashlib.sha256(b"others").hexdigest())
    assert 1 == kept.server.asked("GET")


OPERATIONS: dict[str, tuple[str, Callable[[Aws], object]]] = {
    "get": ("GET", lambda aws: aws.storage.get("a")),
    "find": ("HEAD", lambda aws: aws.storage.find("a")),
    "put": ("PUT", lambda aws: aws.storage.put("a", b"")),
    "copy": ("PUT", lambda aws: aws.storage.copy("a", "b")),
    "delete": ("DELETE", lambda aws: aws.storage.delete("a")),
    "older_than": ("GET?list-type", lambda aws: list(aws.storage.older_than("", 0))),
}


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize(("status", "code"), [(403, "AccessDenied"), (404, "NoSuchBucket"), (403, "InvalidAccessKeyId")])
def test_what_is_forbidden_is_not_missing(kept: Aws, name: str, status: int, code: str, caplog: pytest.LogCaptureFixture) -> None:
    """A right or a bucket that is missing is the store's failure, never an object that is not there, and is named by its code alone."""
    if (name, status) == ("find", 404):
        pytest.skip("a HEAD has no body, so that S3 cannot say what was not found")
    operation, ask = OPERATIONS[name]
    kept.server.fail(operation, s3_refusal(status, code, f"arn:aws:s3:::{kept.names.bucket}"))

    with pytest.raises(StoreUnavailable) as raised:
        ask(kept)
    assert 1 == kept.server.asked(operation)
    assert str(code if name != "find" else status) in caplog.text
    assert kept.names.bucket not in raised.value.detail + caplog.text


def test_an_error_in_a_successful_copy(kept: Aws) -> None:
    """S3 may answer a copy 200 and then write an error into the body (CopyObject): it is no copy, and is made again."""
    kept.server.fail("PUT", aws_faults.answer(200, "<?xml version='1.0'?><Error><Code>InternalError</Code></Error>"))

    assert kept.storage.copy("a", "b")
    assert Found(len(BODY), DIGEST) == kept.storage.find("b")


def test_an_upload_in_parts_has_no_digest(kept: Aws) -> None:
    """The checksum of an upload in parts is one of checksums, and not told as the SHA-256 of the bytes; the bytes are read as ever."""
    checksum = base64.b64encode(bytes(32)).decode() + "-2"
    kept.server.fail("HEAD", aws_faults.with_header("x-amz-checksum-sha256", checksum))
    kept.server.fail("GET", aws_faults.with_header("x-amz-checksum-sha256", checksum))

    assert Found(len(BODY), "") == kept.storage.find("a")
    assert BODY == kept.storage.get("a", DIGEST)


def test_pages_of_a_listing_follow(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    """A listing goes on to its last page."""
    for number in range(7):
        aws.storage.put(f"uploads/{number}", b"")
    passed = aws_clients.send

    def small_pages(service: str, operation: str, arguments: dict[str, Any]) -> Any:
        return passed(service, operation, arguments | ({"MaxKeys": 3} if operation == "list_objects_v2" else {}))

    monkeypatch.setattr(aws_clients, "send", small_pages)

    assert [f"uploads/{number}" for number in range(7)] == list(aws.storage.older_than("uploads/", time.time() + 60))
    assert 3 == aws.server.asked("GET?list-type")


def test_an_upload_is_bound_to_size_and_checksum(aws: Aws) -> None:
    """The signature covers the length and the SHA-256 of the bytes, and the address is S3's version 4."""
    upload = aws.storage.upload("up", size=len(BODY), digest=DIGEST, seconds=60)
    query = parse_qs(urlsplit(upload.url).query)

    assert {"content-length", "host", "x-amz-checksum-sha256"} == set(query["X-Amz-SignedHeaders"][0].split(";"))
    assert (["AWS4-HMAC-SHA256"], ["60"]) == (query["X-Amz-Algorithm"], query["X-Amz-Expires"])
    assert {"content-length", "x-amz-checksum-sha256"} == set(upload.headers)


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "s3.eu-west-1.amazonaws.com"),
        ("us-east-1", "s3.amazonaws.com"),
        ("cn-north-1", "s3.cn-north-1.amazonaws.com.cn"),
    ],
)
def test_an_address_has_its_regions_host(monkeypatch: pytest.MonkeyPatch, region: str, host: str) -> None:
    """An address leads to S3 in the region itself: a redirect from elsewhere would leave the signature behind."""
    monkeypatch.setattr(aws_clients, "_clients", {})
    for name, value in environment("").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_DEFAULT_REGION", region)
    storage = S3Storage("bucket-1")
    addresses = storage.link("a", seconds=60, content_type="text/csv"), storage.upload("a", size=0, digest="", seconds=60).url

    assert all(address.startswith(f"https://bucket-1.{host}/a?") for address in addresses), addresses


def test_an_upload_takes_nothing_else(aws: Aws) -> None:
    """Other bytes, another announcement of them, another key or an altered address are refused, and nothing is there (as S3 does it)."""
    upload = aws.storage.upload("up", size=len(BODY), digest=DIGEST, seconds=60)
    same_size = BODY[:-1] + b"!"
    foreign = aws.storage.upload("up", size=len(same_size), digest=hashlib.sha256(same_size).hexdigest(), seconds=60)
    longer = aws.storage.upload("up", size=len(BODY) + 1, digest=DIGEST, seconds=60)

    def refused(body: bytes, made: Upload = upload, **headers: str) -> int:
        sent = {**made.headers, "content-length": str(len(body)), **headers}
        return httpx.put(made.url, headers=sent, content=body).status_code

    assert 400 == refused(same_size)
    assert 403 == refused(BODY + b"!")
    assert 403 == refused(BODY[:-1])
    assert 403 == refused(same_size, upload._replace(headers=foreign.headers))
    assert 403 == refused(BODY, longer)
    assert 403 == refused(BODY, upload._replace(url=upload.url.replace("/kept/up", "/kept/other")))
    assert 403 == refused(BODY, upload._replace(url=upload.url.replace("X-Amz-Expires=60", "X-Amz-Expires=600")))
    assert 403 == refused(BODY, upload._replace(url=upload.url[:-1] + ("0" if upload.url[-1] != "0" else "1")))
    assert 403 == refused(BODY, upload._replace(url=aws.storage.link("up", seconds=60, content_type="text/plain")))
    assert 403 == refused(BODY, **{"x-amz-tagging": "a=b"})
    aws.server.ahead_s += 61
    assert 403 == refused(BODY)
    assert (None, None) == (aws.storage.find("up"), aws.storage.find("other"))

    aws.server.ahead_s -= 61
    assert 200 == refused(BODY)


def test_a_link_ends(kept: Aws) -> None:
    """A link reads its own key for its own time, and puts nothing."""
    url = kept.storage.link("a", seconds=60, content_type="text/csv")

    assert BODY == httpx.get(url).content
    assert 403 == httpx.get(url.replace("text%2Fcsv", "text%2Fhtml")).status_code
    assert 403 == httpx.put(url, content=b"").status_code
    kept.server.ahead_s += 61
    assert 403 == httpx.get(url).status_code
