"""The outside: what webhooks are sent to, and what it passes on."""

import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.authority import HOST, Authority
from local.outside import serve
from tests.jobs.webhook_receivers import Receiver, answers, status
from tests.shells import free_port

SIGNED = {"webhook-id": "msg_1", "webhook-timestamp": "1", "webhook-signature": "v1,x", "content-type": "application/json"}


@pytest.fixture
def outside(tmp_path: Path) -> Callable[..., object]:
    """Makes an outside before a receiver; gives a client, and what it says."""

    @contextmanager
    def opened(receiver: str) -> Iterator[tuple[httpx.Client, list[str]]]:
        said: list[str] = []
        authority = Authority(tmp_path)
        server = serve(authority, 0, receiver, said.append)
        trusted = ssl.create_default_context(cafile=str(authority.file))
        url = f"https://127.0.0.1:{server.server_port}"
        with httpx.Client(base_url=url, verify=trusted, timeout=30) as client:
            yield client, said
        server.shutdown()
        server.server_close()

    return opened


def post(client: httpx.Client) -> int:
    asked = client.build_request("POST", "/hooks/1?a=b", headers={"host": HOST, **SIGNED}, content=b'{"type":"x"}')
    return client.send(
        asked.__class__(asked.method, asked.url, headers=asked.headers, content=b'{"type":"x"}', extensions={"sni_hostname": HOST})
    ).status_code


def test_a_webhook_is_passed_on(outside: Callable[..., object]) -> None:
    """A receiver on this machine gets path, query, body and signature, and its status is the sender's answer."""
    with Receiver(answers(status("410 Gone"))) as receiver, outside(f"http://127.0.0.1:{receiver.port}/") as (client, said):  # type: ignore[attr-defined]
        assert 410 == post(client)
    head, _, body = receiver.requests[0].partition(b"\r\n\r\n")

    assert head.startswith(b"POST /hooks/1?a=b HTTP/1.1")
    assert b"v1,x" in head
    assert b'{"type":"x"}' == body
    assert ["webhook msg_1: 12 bytes, 410"] == said


def test_without_a_receiver_it_is_taken(outside: Callable[..., object]) -> None:
    """Nobody has to listen."""
    with outside("") as (client, _):  # type: ignore[attr-defined]
        assert 204 == post(client)


def test_a_receiver_that_is_not_there(outside: Callable[..., object]) -> None:
    """The sender is told to try again."""
    with outside(f"http://127.0.0.1:{free_port()}") as (client, _):  # type: ignore[attr-defined]
        assert 502 == post(client)
