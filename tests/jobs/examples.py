"""Records with every field filled in."""

import hashlib
from typing import Any

from app.jobs.delivery import Attempt, Delivery
from app.jobs.job import Job, Payload, Policy, Webhook, new_id
from app.jobs.reservation import Reservation, reserve

NOW = 1_800_000_000.0
POLICY = Policy()
PAYLOAD = Payload("payloads/0123", 4, hashlib.sha256(b"body").hexdigest(), "application/json", (("x-header", "1"), ("x-header", "2")))
RESULT = Payload("results/0123", 6, hashlib.sha256(b"result").hexdigest(), "application/json")


def queued(**fields: Any) -> Job:
    """A job that was submitted now; no other has its id."""
    asked = {"dialect": "predict", "accept": None, "outputs": ["label"]}
    job = Job(new_id(), "owner", "queued", asked, PAYLOAD, "digits", "1", "d" * 64, NOW, NOW + 86_400, NOW + 300, 3)
    return job._replace(webhook=Webhook("https://hooks.test/1", "é"))._replace(**fields)


def delivery(**fields: Any) -> Delivery:
    """A webhook that is due now and was tried twice; no other has its id."""
    pending = Delivery(new_id(), "job", "owner", "https://hooks.test/1", "label", '{"id":"job"}', NOW, NOW + 86_400, NOW, NOW)
    return pending._replace(attempts=(Attempt(NOW, "503", 0.25), Attempt(NOW + 5, "timeout", 15.0)))._replace(**fields)


def reservation(**fields: Any) -> Reservation:
    """A key that was taken now, and has an answer; no other has its id."""
    return reserve("owner", new_id(), "f" * 64, NOW, lease_s=30)._replace(status=200, answer=RESULT)._replace(**fields)


EVERY_KIND = {"job": queued, "delivery": delivery, "reservation": reservation}
