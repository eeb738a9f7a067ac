"""Webhooks from the sender's function as it runs on Lambda, to a receiver that verifies them as Standard Webhooks' own library does."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

from tests.shells import ROOT, emulator

# A network and mounts of its own; who is not root becomes it inside.
NAMESPACE = ["unshare", "--net", "--mount", *([] if os.geteuid() == 0 else ["--map-root-user"])]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What was seen in :mod:`tests.lambda.webhook_world`."""
    if subprocess.run([*NAMESPACE, "true"], capture_output=True, check=False).returncode:
        # Where everything is to be proven nothing is passed over.
        assert "CI" not in os.environ, "no network namespace can be made here"
        pytest.skip("this machine lets nobody make a network namespace")
    command = [*NAMESPACE, sys.executable, "-W", "ignore", "-m", "tests.lambda.webhook_world", tmp_path_factory.mktemp("world")]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180, check=False)
    assert 0 == ended.returncode, ended.stderr[-4000:]
    found: dict[str, Any] = json.loads(ended.stdout.splitlines()[-1])
    return found


def test_a_webhook_is_verified_by_its_receiver(world: dict[str, Any]) -> None:
    """The end of a job reaches the receiver over TLS, signed with the key that the template generates and Secrets Manager keeps."""
    last = world["requests"][-1]
    headers = {name.lower(): value for name, value in last["headers"].items()}
    verified: dict[str, Any] = Webhook(f"whsec_{world['secret']}").verify(last["body"], headers)  # type: ignore[assignment]

    assert 1 == world["due"]
    assert "POST /hooks/1 HTTP/1.1" == last["line"]
    assert "job.succeeded" == verified["type"]
    assert (world["job"].rpartition("/")[2], "mine") == (verified["data"]["id"], verified["data"]["label"])
    assert {"self": world["job"], "result": f"{world['job']}/result", "deliveries": f"{world['job']}/deliveries"} == verified["data"][
        "links"
    ]


def test_a_webhook_that_was_not_taken_comes_again(world: dict[str, Any]) -> None:
    """A receiver in trouble is called again after the schedule's pause, with the same id and body, and its message is not failed meanwhile."""
    first, second = world["requests"]

    assert [{"batchItemFailures": []}, None, {"batchItemFailures": []}] == [world["first"], world["too early"], world["second"]]
    assert first["headers"]["webhook-id"] == second["headers"]["webhook-id"] == f"msg_{world['job'].rpartition('/')[2]}"
    assert first["body"] == second["body"]
    assert 0 == world["left"]
    (delivery,) = world["deliveries"]
    assert "delivered" == delivery["status"]
    assert ["503", "204"] == [attempt["outcome"] for attempt in delivery["attempts"]]


def test_a_receiver_inside_is_refused_on_lambda(world: dict[str, Any]) -> None:
    """A name that leads to a private address is refused at submit, and one that leads there later is not connected to."""
    (delivery,) = world["moved deliveries"]

    assert "webhook-refused" == world["refused"]
    assert {"batchItemFailures": []} == world["moved"]
    assert ["address-refused"] == [attempt["outcome"] for attempt in delivery["attempts"]]
    assert 2 == len(world["requests"]) == world["connections"]


def test_its_role_lets_the_sender_do_its_work(world: dict[str, Any]) -> None:
    """No function was denied a call, and the sender's were those of its deliveries, its queue and its key."""
    assert [] == world["denied"]
    assert {"dynamodb:GetItem", "dynamodb:PutItem", "secretsmanager:GetSecretValue", "sqs:SendMessage"} == set(world["calls"])


def test_private_receivers_fail_the_start(models: Path) -> None:
    """On Lambda the switch for one's own machine is refused, and the start says so."""
    with emulator(models, WEBHOOK_ALLOW_PRIVATE="on") as invoke:
        assert "WEBHOOK_ALLOW_PRIVATE" in str(invoke({"warmup": True}))
