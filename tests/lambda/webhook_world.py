"""A world in which a local receiver has a public address, for ``python -m``: a network and a hosts file of its own, moto, the functions.

On Lambda webhooks go to public addresses only, and no switch of the tests' changes that. So nothing of the program is told to look away:
inside a network namespace the loopback interface has a public address as well, and the hosts file says whose it is. Prints what was
seen as JSON.
"""

import contextlib
import fcntl
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from local.authority import HOST, Authority
from tests.deployment import Deployment, running
from tests.jobs.webhook_receivers import Receiver, status
from tests.shells import copy_models

ADDRESS, PRIVATE_HOST = "93.184.215.14", "inside.example.com"
ROW = [5.1, 3.5, 1.4, 0.2]
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 0x1


class Hosts:
    """The hosts file of this namespace."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "hosts"
        self.say(ADDRESS)
        subprocess.run(["mount", "--bind", self._file, "/etc/hosts"], check=True)

    def say(self, address: str) -> None:
        """Whose the receiver's name is from now on."""
        self._file.write_text(f"127.0.0.1 localhost {PRIVATE_HOST}\n{address} {HOST}\n")


def raise_loopback() -> None:
    """Bring the loopback interface up, with the public address beside its own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for name, address in ((b"lo", "127.0.0.1"), (b"lo:1", ADDRESS)):
            place = struct.pack("16sHH4s8x", name, socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(any_socket, SIOCSIFADDR, place)
            fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sH14x", name, IFF_UP))


def submit(aws: Deployment, url: str) -> Any:
    headers = {"Prefer": "respond-async", "Webhook-Url": url, "Webhook-Id": "mine"}
    return aws.api.post("/predict", json={"inputs": [ROW]}, headers=headers)


def seen(receiver: Receiver) -> list[dict[str, Any]]:
    """Every request that the receiver was sent."""
    found = []
    for request in receiver.requests:
        head, _, body = request.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        found.append({"line": lines[0], "headers": dict(line.split(": ", 1) for line in lines[1:]), "body": body.decode()})
    return found


def scenes(aws: Deployment, receiver: Receiver, hosts: Hosts) -> Iterator[tuple[str, Any]]:
    """What happens, scene by scene."""
    url = f"https://{HOST}/hooks/1"
    yield "secret", aws.made.client("secretsmanager").get_secret_value(SecretId=aws.made.names["WebhookSecret"])["SecretString"]
    job = submit(aws, url).headers["location"]
    yield "job", job
    aws.answer_jobs()
    yield "due", aws.webhooks.size()
    yield "first", aws.send_webhooks()
    # The receiver was in trouble; the next attempt is five seconds later, and a little.
    yield "too early", aws.send_webhooks()
    aws.set_clock(10.0)
    yield "second", aws.send_webhooks()
    yield "deliveries", aws.api.get(f"{job}/deliveries").json()["deliveries"]
    yield "left", aws.webhooks.size()
    yield "refused", submit(aws, f"https://{PRIVATE_HOST}/").json()["code"]
    moved = submit(aws, url).headers["location"]
    hosts.say("127.0.0.1")
    aws.answer_jobs()
    aws.set_clock(20.0)
    yield "moved", aws.send_webhooks()
    yield "moved deliveries", aws.api.get(f"{moved}/deliveries").json()["deliveries"]
    yield "requests", seen(receiver)
    yield "connections", receiver.accepted
    yield "calls", sorted(call.action for call in aws.made.gate.calls if call.function == "WebhookSender")
    yield "denied", [list(call) for call in aws.made.gate.denied]


def main(folder: Path) -> None:
    raise_loopback()
    hosts = Hosts(folder)
    authority = Authority(folder)
    statuses = iter(["503 Service Unavailable", *["204 No Content"] * 10])

    def behave(receiver: Receiver, connection: socket.socket) -> None:
        receiver.read_request(connection)
        receiver.write(connection, status(next(statuses)))

    # On every address, so that a connection to the private one would be seen.
    with contextlib.ExitStack() as stack:
        receiver = stack.enter_context(Receiver(behave, authority.server(), "0.0.0.0", 443))
        settings = {"SSL_CERT_FILE": str(authority.file)}
        aws = stack.enter_context(running(copy_models(folder / "models"), folder, **settings))
        print(json.dumps(dict(scenes(aws, receiver, hosts))))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
