"""One run: callers, Lambda's pollers and schedule, a receiver of webhooks, and the program under faults between them."""

import base64
import contextvars
import hashlib
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from app.http.message import REFERENCE
from app.http.uploads import _key as key_of_upload
from app.jobs.delivery import Delivery
from app.jobs.job import Job
from app.storage import aws_clients
from tests.clock import Clock
from tests.faults.callers import ISSUER, Answer, Ask, GaveUp, Seen, answer_of, http_event, sqs_record
from tests.faults.cloud import Cloud, records, status_of
from tests.faults.function import Function, Transmit
from tests.faults.points import Fault, Killed, Points
from tests.faults.receiver import Receiver

HOUR_S = 3600.0
# Longer than every lease and every time a message is invisible for.
A_LONG_TIME_S = HOUR_S
_TRIES = 10
_ROUNDS = 40
# What a client asks again for; a job that failed is answered as its failure.
_AGAIN = (502, 503, 504)


class World:
    """Everything around the program, and the program.

    :param run: invokes the function in another process; None: in this one.
    """

    def __init__(
        self,
        cloud: Cloud,
        clock: Clock,
        faults: Sequence[Fault] = (),
        *,
        receiver: Receiver | None = None,
        transmit: Transmit | None = None,
        url: str = "https://hooks.example.com",
    ) -> None:
        self.cloud = cloud
        self.clock = clock
        self.url = url
        self.points = Points(cloud.send, faults, meanwhile=lambda alone: contextvars.copy_context().run(self._meanwhile, alone))
        self.receiver = receiver or Receiver(self.status_of)
        self._transmit = transmit if receiver else self.receiver.transmit
        self.function = self._new_function()
        self._watcher = self._new_function()
        # What callers were told: of each ask its job's id at every 202, and of each job what was seen.
        self.accepted: dict[Ask, list[str]] = {}
        self.seen: list[Seen] = []
        self.cancelled: dict[str, int] = {}
        self.found: dict[Ask, Answer] = {}
        self.leaks: list[str] = []

    # The platform

    def invoke(self, event: dict[str, Any]) -> Any:
        """The function's answer; None where its process was killed, or it raised."""
        try:
            return self.function.invoke(event)
        except Killed:
            self.points.revive()
            self.function = self._new_function()
            return None

    def poll(self, queue: str) -> None:
        """Hand over messages until there are none that can be had, and delete those that were worked off."""
        url = getattr(self.cloud.names, queue)
        for _ in range(_TRIES):
            asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 0}
            messages = self.cloud.send("sqs", "receive_message", asked).get("Messages", [])
            if not messages:
                return
            answer = self.invoke({"Records": [sqs_record(message) for message in messages]})
            if answer is None:
                continue
            failed = {item["itemIdentifier"] for item in answer["batchItemFailures"]}
            entries = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
                if message["MessageId"] not in failed
            ]
            if entries:
                self._delete(url, entries)

    def sweep(self) -> Any:
        """What the schedule does every minute."""
        return self.invoke({"sweep": True})

    def settle(self) -> bool:
        """Let time pass until everything has ended; False where it never does."""
        for _ in range(_ROUNDS):
            self.poll("jobs")
            self.poll("webhooks")
            self.sweep()
            self.watch()
            if self.is_quiet():
                return True
            self.clock.advance(120)
        return False

    def is_quiet(self) -> bool:
        """Whether nothing is left to do."""
        if any(self.cloud.waiting(getattr(self.cloud.names, queue)) for queue in ("jobs", "webhooks")):
            return False
        kept = records(self.cloud.items())
        return all(r.is_finished if isinstance(r, Job) else r.is_done if isinstance(r, Delivery) else True for r in kept)

    def age(self) -> None:
        """Let everything's time pass: jobs after a day, webhooks after four, bytes of nobody when their turn comes."""
        for hours in (25, 100, *([1] * _ROUNDS)):
            self.clock.advance(hours * HOUR_S)
            self.sweep()
            if hours == 1 and not self.cloud.items():
                break
        for _ in range(_ROUNDS):
            left = self.cloud.objects()
            if not left:
                return
            shard = int(left[0].split("/")[1], 16)
            now = int(self.clock() / 60)
            self.clock.advance(60.0 * ((shard - now) % 256))
            self.sweep()
            # The next round in 256 minutes, should this one have failed.
            self.clock.advance(60.0)

    # Callers

    def submit(self, ask: Ask) -> str:
        """Ask until it is accepted, as real clients do: with the same key."""
        headers = {"prefer": "respond-async", "idempotency-key": ask.key}
        if ask.webhook:
            headers["webhook-url"] = self.url + ask.webhook
        answer = self._until(lambda: self._post(ask, headers), lambda status: status == 202)
        job_id = str(answer.json["id"])
        self.accepted.setdefault(ask, []).append(job_id)
        return job_id

    def answer_now(self, ask: Ask, *, key: bool = True) -> Answer:
        """Ask for an answer at once."""
        return self._until(lambda: self._post(ask, {"idempotency-key": ask.key} if key else {}), lambda status: status == 200)

    def cancel(self, ask: Ask) -> None:
        """Cancel a job, until somebody says whether that was done."""
        job_id = self.accepted[ask][0]
        answer = self._until(lambda: self.request(ask.owner, "DELETE", f"/jobs/{job_id}"), lambda status: status in (200, 409))
        self.cancelled[job_id] = answer.status

    def read(self, ask: Ask) -> None:
        """Read a job and its result, its list, and what is not one's own."""
        job_id = self.accepted[ask][0]
        answer = self._until(lambda: self.request(ask.owner, "GET", f"/jobs/{job_id}/result"), lambda status: status not in _AGAIN)
        self.found[ask] = answer
        listed = self._until(lambda: self.request(ask.owner, "GET", "/jobs"), lambda status: status == 200)
        own = {name for other, ids in self.accepted.items() if other.owner == ask.owner for name in ids}
        if found := {job["id"] for job in listed.json["jobs"]} - own:
            self.leaks.append(f"{ask.owner} sees {found} in his list")
        for path in (f"/jobs/{job_id}", f"/jobs/{job_id}/result", f"/jobs/{job_id}/deliveries"):
            answer = self._until(lambda path=path: self.request("stranger", "GET", path), lambda status: status < 500)  # type: ignore[misc]
            if answer.status != 404:
                self.leaks.append(f"a stranger is answered {answer.status} at {path}")

    def watch(self) -> None:
        """Note what callers would see now."""
        for ask, ids in self.accepted.items():
            answer = answer_of(self._watched(http_event(ask.owner, "GET", f"/jobs/{ids[0]}")))
            if answer is not None and answer.status == 200:
                self.seen.append(Seen(ids[0], answer.json["status"]))

    def request(self, owner: str, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer | None:
        """One HTTP request; None where there is no answer."""
        return answer_of(self.invoke(http_event(owner, method, path, headers or {}, body)))

    def status_of(self, job_id: str) -> str:
        """The status that is kept of a job."""
        return status_of(self.cloud, job_id)

    def upload(self, ask: Ask) -> None:
        """Put a body where its caller's address for it would."""
        caller, names = f"jwt:{ISSUER}#{ask.owner}", self.cloud.names
        checksum = base64.b64encode(hashlib.sha256(ask.body).digest()).decode()
        asked = {"Bucket": names.bucket, "Key": key_of_upload(caller, ask.upload), "Body": ask.body, "ChecksumSHA256": checksum}
        self.cloud.send("s3", "put_object", asked)

    def _post(self, ask: Ask, headers: dict[str, str]) -> Answer | None:
        body, content_type = ask.body, "application/json"
        if ask.upload:
            reference = {"upload": ask.upload, "sha256": hashlib.sha256(ask.body).hexdigest()}
            body, content_type = json.dumps(reference).encode(), REFERENCE
        return self.request(ask.owner, "POST", "/models/iris/predict", {"content-type": content_type, **headers}, body)

    def _until(self, ask: Callable[[], Answer | None], done: Callable[[int], bool]) -> Answer:
        for _ in range(_TRIES):
            answer = ask()
            if answer is not None and done(answer.status):
                return answer
            if answer is not None and answer.status < 500 and answer.status not in (409, 429):
                break
            self.clock.advance(15)
        raise GaveUp(f"a caller gave up: {answer}")

    def _delete(self, url: str, entries: list[dict[str, str]]) -> None:
        try:
            self.points.send("sqs", "delete_message_batch", {"QueueUrl": url, "Entries": entries})
        except Killed:
            self.points.revive()
        except (BotoCoreError, ClientError):
            # The messages come again.
            return

    def _meanwhile(self, alone: bool) -> None:
        """An hour in which others do all that can be done, other workers and the schedule; or callers look, and nobody else is there."""
        if alone:
            self.clock.advance(A_LONG_TIME_S)
            self.watch()
            return
        busy, self.function = self.function, self._new_function()
        self.watch()
        for _ in range(3):
            self.clock.advance(A_LONG_TIME_S / 3)
            self.poll("jobs")
            self.sweep()
            self.poll("jobs")
            self.poll("webhooks")
            self.watch()
        self.function = busy

    def _new_function(self) -> Function:
        return Function(self.cloud.names, self.clock, self._transmit)

    def _watched(self, event: dict[str, Any]) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(aws_clients, "send", self.cloud.send)
            return self._watcher.invoke(event)
