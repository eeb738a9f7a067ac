"""The end of a job as the changes that are made together: the job itself, and the webhook that is due then. Pure."""

import json
from datetime import UTC, datetime
from typing import Any

from app.jobs.backend import Change
from app.jobs.delivery import STRANDED_S, Delivery
from app.jobs.job import Job, Policy

# The schedule of attempts takes about 75 h; a delivery can be looked up for a day more.
_KEPT_S = 100 * 3600.0


def delivery_id(job_id: str) -> str:
    """The ``webhook-id`` of a job's one webhook: the same in every attempt, and whoever makes it."""
    return f"msg_{job_id}"


def ending(old: Job, new: Job, policy: Policy) -> list[Change]:
    """Keep the end of a job together with the webhook that tells of it, so that neither is without the other."""
    changes = [Change(old, new)]
    if new.webhook is not None:
        at = new.finished
        changes.append(
            Change(
                None,
                Delivery(
                    id=delivery_id(new.id),
                    job_id=new.id,
                    owner=new.owner,
                    url=new.webhook.url,
                    label=new.webhook.label,
                    body=_body(new, policy),
                    created=at,
                    expires=at + max(_KEPT_S, policy.retention_s),
                    due=at + STRANDED_S,
                    next_at=at,
                ),
            )
        )
    return changes


def time_text(seconds: float) -> str:
    """A time as RFC 3339 has it, in UTC to the millisecond."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def links_of(job: Job, base_url: str = "") -> dict[str, str]:
    """Where the job and what belongs to it is found."""
    own = f"{base_url}/jobs/{job.id}"
    links = {"self": own, "result": f"{own}/result"}
    return links | ({"deliveries": f"{own}/deliveries"} if job.webhook else {})


def _body(job: Job, policy: Policy) -> str:
    """The payload of Standard Webhooks (its chapter "Payload structure"): a type, a time, and thin data."""
    data: dict[str, Any] = {"id": job.id, "status": job.status, "label": job.webhook.label if job.webhook else ""}
    data["links"] = links_of(job, policy.public_url)
    if job.result is not None:
        data["digest"] = f"sha-256:{job.result.digest}"
    if job.error is not None:
        data["code"] = job.error.get("code", "")
    return json.dumps({"type": f"job.{job.status}", "timestamp": time_text(job.finished), "data": data}, separators=(",", ":"))
