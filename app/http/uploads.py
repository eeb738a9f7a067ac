"""Bodies too large for a request: an address to upload them to, and a reference that any prediction route takes in their place."""

import base64
import binascii
import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl

from app.codecs import json_text
from app.codecs.json_output import dumps
from app.errors import BodyTooLarge, Invalid, NotFound
from app.http.message import REFERENCE, Request, Response
from app.http.routes import Services
from app.jobs.errors import UnknownUpload, UploadRefused
from app.jobs.job import Payload, is_id, new_id
from app.jobs.notices import time_text
from app.jobs.service import Jobs
from app.jobs.sweeper import UPLOAD_KEPT_S
from app.report import Report
from app.storage import Addressed, Announced

_UPLOAD_S = 900
_DIGEST_BYTES = 32


def create(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001 - the signature of every endpoint
    """An address for one upload: ``{"bytes": size, "sha256": digest}`` → how to send it, and the reference to predict with.

    :raises UploadRefused: for an announcement that is none, or of too much.
    """
    jobs = services.jobs_for(request)
    announced = json_text.checked(request.body) if request.body else None
    if type(announced) is not dict or announced.keys() - {"bytes", "sha256", "content_type"}:
        raise UploadRefused(
            'Announce the upload as {"bytes": its size, "sha256": its SHA-256, "content_type": of the request}.', pointer=""
        )
    size, digest = announced.get("bytes"), _digest(announced.get("sha256"))
    content_type = _content_type(announced)
    if type(size) is not int or size < 1:
        raise UploadRefused('"bytes" must be the size of the upload, a whole number of at least 1.', pointer="/bytes")
    if size > jobs.max_upload_bytes:
        raise BodyTooLarge(f"The upload would have {size} bytes, but at most {jobs.max_upload_bytes} are taken (MAX_UPLOAD_BYTES).")
    upload_id, now = new_id(), jobs.stores.clock()
    upload = jobs.stores.storage.upload(_key(request.caller, upload_id), size=size, digest=digest, seconds=_UPLOAD_S)
    url = upload.url if "://" in upload.url else request.base + upload.url
    body: dict[str, Any] = {
        "upload": {"method": upload.method, "url": url, "headers": upload.headers, "expires": time_text(now + _UPLOAD_S)},
        "reference": {"upload": upload_id, "sha256": digest, "content_type": content_type},
        "reference_content_type": REFERENCE,
        "expires": time_text(now + UPLOAD_KEPT_S),
    }
    return Response(201, dumps(body), headers={"Cache-Control": "no-store"})


def resolve(jobs: Jobs, request: Request) -> Payload:
    """Put the uploaded bytes into the place of the reference that is a request's body.

    :returns: where they are in the storage.
    :raises Invalid: for a reference that is none, or whose parts are not what they should be.
    :raises UnknownUpload: where there is none of this caller.
    """
    reference = json_text.checked(request.body)
    if type(reference) is not dict or type(reference.get("upload")) is not str:
        raise Invalid('The body must be a reference as POST /uploads answers it: {"upload": id, "sha256": digest}.', pointer="")
    key, digest, content_type = _key(request.caller, reference["upload"]), _digest(reference.get("sha256")), _content_type(reference)
    found = jobs.stores.storage.find(key)
    if found is None:
        raise _unknown()
    if found.size > jobs.max_upload_bytes:
        raise BodyTooLarge(f"The upload has {found.size} bytes, but at most {jobs.max_upload_bytes} are taken (MAX_UPLOAD_BYTES).")
    if found.digest and found.digest != digest:
        raise UploadRefused("The upload has another SHA-256 than the reference.", pointer="/sha256")
    body = jobs.stores.storage.get(key, digest)
    if body is None:
        raise UnknownUpload("There is no upload of this id any more; upload it again.", pointer="/upload")
    request.body = body
    request.headers = {**request.headers, "content-type": content_type}
    return Payload(key, len(body), digest, content_type)


def receive(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """Take an upload at the address that :func:`create` answered.

    :raises NotFound: for any other address, or after its time.
    :raises UploadRefused: for other bytes than those that were announced.
    """
    announced = _announced(services, request, request.parameters["id"])
    if len(request.body) != announced.size or hashlib.sha256(request.body).hexdigest() != announced.digest:
        raise UploadRefused(f"These are not the {announced.size} bytes that were announced.")
    _addressed(services, request).put(announced.key, request.body)
    # as S3 answers
    return Response(200, content_type="text/plain")


def size_check(services: Services, request: Request) -> Callable[[int], None]:
    """What compares the size of an upload, before it is read and as it comes, with what was announced.

    :raises NotFound: see :func:`receive`; so nothing is read that is not taken.
    """
    announced = _announced(services, request, request.path.rpartition("/")[2])

    def check(size: int) -> None:
        if size > announced.size:
            raise BodyTooLarge(f"The upload has at least {size} bytes, but {announced.size} were announced.")

    return check


def send(services: Services, request: Request, report: Report) -> Response:  # noqa: ARG001
    """A result at the address that ``GET /jobs/{id}/result`` answered.

    :raises NotFound: for any other address, or after its time.
    """
    storage = _addressed(services, request)
    linked = storage.check_link(request.parameters["id"], dict(parse_qsl(request.query)), services.jobs_for(request).stores.clock())
    body = storage.get(linked.key) if linked else None
    if linked is None or body is None:
        raise NotFound("There is nothing to download at this address, or its time is over; GET the job's result again.")
    return Response(200, body, linked.content_type, {"Cache-Control": "private, no-store"})


def _announced(services: Services, request: Request, name: str) -> Announced:
    found = _addressed(services, request).check_upload(name, dict(parse_qsl(request.query)), services.jobs_for(request).stores.clock())
    if found is None:
        raise NotFound("This address takes no upload: it is not as POST /uploads answered it, or its time is over.")
    return found


def _addressed(services: Services, request: Request) -> Addressed:
    storage = services.jobs_for(request).stores.storage
    if not isinstance(storage, Addressed):
        raise NotFound("Uploads and downloads go to S3 itself, at the addresses that are answered.")
    return storage


def _key(caller: str, upload_id: str) -> str:
    if not is_id(upload_id):
        raise _unknown()
    # Another caller's same id is another key.
    owner = hashlib.sha256(caller.encode(errors="surrogatepass")).hexdigest()[:16]
    return f"uploads/{upload_id[:2]}/{upload_id}/{owner}"


def _unknown() -> UnknownUpload:
    return UnknownUpload("There is no upload of this id: send its bytes to the address that POST /uploads answered.", pointer="/upload")


def _digest(given: Any) -> str:
    """A SHA-256 in hexadecimal, given so or in base64.

    :raises UploadRefused: for anything else.
    """
    if type(given) is str:
        try:
            found = bytes.fromhex(given) if len(given) == 2 * _DIGEST_BYTES else base64.b64decode(given, validate=True)
        except (ValueError, binascii.Error):
            found = b""
        if len(found) == _DIGEST_BYTES:
            return found.hex()
    raise UploadRefused('"sha256" must be the SHA-256 of the bytes, in hexadecimal or base64.', pointer="/sha256")


def _content_type(holder: dict[str, Any]) -> str:
    """What the upload is as the body of a request; JSON where nothing is said.

    :raises UploadRefused: for what cannot be a header field's value.
    """
    found = holder.get("content_type", "application/json")
    if type(found) is str and found.isascii() and found.isprintable() and 0 < len(found) <= 256:
        return found
    raise UploadRefused('"content_type" must be the content type of the request that the upload is the body of.', pointer="/content_type")
