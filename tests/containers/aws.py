"""The deployment of the template where containers reach it: moto's state is this process's, whatever its address."""

from collections.abc import Iterator
from contextlib import contextmanager

from moto.server import ThreadedMotoServer

from tests.containers import engine
from tests.deployment import Resources, deployed


def bridge() -> str:
    """This machine's address for containers."""
    return engine.docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").stdout.decode().strip()


@contextmanager
def reachable(**parameters: str) -> Iterator[Resources]:
    """What the template keeps things in with these parameters; with Jobs=on where none is said."""
    server = ThreadedMotoServer(ip_address=bridge(), port=0, verbose=False)
    server.start()
    try:
        with deployed(**parameters) as found:
            yield found._replace(url=f"http://{bridge()}:{server.get_host_and_port()[1]}")
    finally:
        server.stop()
