"""moto behind real HTTP, with what moto leaves out: DynamoDB's requests follow one another, and objects keep their checksums."""

import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import BaseWSGIServer, make_server

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


class KeptAlive(MotoRequestHandler):
    """Connections stay open, as AWS's do."""

    protocol_version = "HTTP/1.1"
    # Headers and body are two packets: without this each answer waits for the first one's acknowledgement.
    disable_nagle_algorithm = True

    def log_request(self, *args: Any, **kwargs: Any) -> None:
        """Say nothing."""


class Orderly:
    """An application of moto's. moto compares no condition and changes nothing atomically between threads; here it does."""

    def __init__(self, moto: Application) -> None:
        self._moto = moto
        self._records = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request as moto does."""
        if environ.get("HTTP_X_AMZ_TARGET", "").startswith("DynamoDB"):
            with self._records:
                return list(self._moto(environ, start_response))
        if "HTTP_X_AMZ_CHECKSUM_SHA256" in environ:
            # S3 keeps a checksum with the object by its header alone, moto by the name of the algorithm.
            environ["HTTP_X_AMZ_SDK_CHECKSUM_ALGORITHM"] = "SHA256"
        return self._moto(environ, start_response)


def moto_application() -> Application:
    """The services of moto; its state is this process's."""
    application: Application = DomainDispatcherApplication(create_backend_app)
    return application


def serve(application: Application, address: str, port: int) -> BaseWSGIServer:
    """Serve in threads of this process until it ends; port 0 is a free one.

    :raises SystemExit: where the port is taken, by the server's library.
    """
    server = make_server(address, port, application, threaded=True, request_handler=KeptAlive)
    server.daemon_threads = True  # type: ignore[attr-defined]  # of the threaded one
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server
