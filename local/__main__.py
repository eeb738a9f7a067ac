"""``python -m local``: everything of AWS that stands around the functions, until it is stopped.

``python -m local outputs`` prints where things are, and the key that webhooks are verified with.
"""

import os
import shutil
import signal
import ssl
import sys
import threading
from pathlib import Path
from typing import Any, NoReturn

from local import functions, moto_server, outside, stack
from local.authority import DAY, HOST, NOW, Authority
from local.emulator import Emulator
from local.gateway import Gateway
from local.lambda_queue import Queue
from local.limits import API_PATIENCE_S
from local.pump import Pump, queue_sources, schedules
from local.routes import routes_of
from local.stack import REGION, Stack
from local.template_values import PSEUDO, Values

NAME = "local"
GATEWAY_PORT, WEBHOOKS_PORT = 8080, 8443
# Of the image in local/Dockerfile, and of the volume in compose.yaml.
EMULATOR, SHARED = Path("/opt/aws-lambda-rie"), Path("/aws-lambda")
API = "OnnxLambda"
# What the stack is made with; compose.yaml has a service for each function of it.
PARAMETERS = {"Jobs": "on", "Inbox": "on"}


def values() -> Values:
    """The values of the template's functions in the stack."""
    return Values(PARAMETERS, {**PSEUDO, "AWS::StackName": NAME})


def _say(line: str) -> None:
    print(line, flush=True)


def _client(service: str, endpoint: str) -> Any:
    import botocore.session

    session = botocore.session.Session()
    session.set_credentials("local", "local")
    return session.create_client(service, endpoint_url=endpoint, region_name=REGION)


def _made(endpoint: str) -> Stack:
    """Make the stack, with the names that it has got."""

    def clients(service: str) -> Any:
        return _client(service, endpoint)

    made = Stack({}, values())
    made.names.update(stack.create(clients, NAME, made.values, stack.plain_resources()))
    stack.notify(clients, made)
    stack.make_secret(clients, NAME, made)
    return made


def _hand_out(made: Stack, found: list[functions.Function], authority: Authority, endpoint: str) -> None:
    """Lay what the functions' containers need into the volume that they share, what they wait for last."""
    folder = SHARED
    trusted = folder / "trusted.pem"
    system = ssl.get_default_verify_paths().cafile
    known = Path(system).read_text() if system and Path(system).is_file() else ""
    trusted.write_text(known + authority.file.read_text())
    for source in (EMULATOR, Path(__file__).with_name("start.sh")):
        # In the place of one that runs nothing can be written.
        (folder / source.name).unlink(missing_ok=True)
        shutil.copy(source, folder / source.name)
    for function in found:
        variables = functions.environment(function, made, endpoint)
        functions.write(folder / f"{function.name}.env", {**variables, "SSL_CERT_FILE": str(trusted)})


def serve() -> None:
    """Serve until SIGTERM or SIGINT."""
    port = int(os.environ.get("AWS_PORT", "4566"))
    endpoint = f"http://127.0.0.1:{port}"
    # In its container, where a port that is published has to be listened to on every address.
    moto_server.serve(moto_server.Orderly(moto_server.moto_application()), "0.0.0.0", port)  # noqa: S104
    made = _made(endpoint)
    found = functions.functions_of(made)
    folder = Path(os.environ.get("TMPDIR", "/tmp"), "authority")  # noqa: S108  # the container's own
    folder.mkdir(exist_ok=True)
    authority = Authority(folder, NOW + 365 * DAY)
    _hand_out(made, found, authority, endpoint)
    outside.serve(authority, WEBHOOKS_PORT, os.environ.get("WEBHOOK_RECEIVER", ""), _say)
    emulators = {function.name: Emulator(function.name, function.port, function.timeout_s) for function in found}
    pump = Pump({name: emulator.invoke for name, emulator in emulators.items()}, _say)
    sqs = _client("sqs", endpoint)
    for source in queue_sources(made):
        pump.poll(source, Queue(sqs, made.names[source.queue]))
    for schedule in schedules(made):
        pump.keep(schedule)
    gateway = Gateway(routes_of(API), lambda event: emulators[API].invoke(event, API_PATIENCE_S), _say)
    moto_server.serve(gateway, "0.0.0.0", GATEWAY_PORT)  # noqa: S104
    _say(_outputs(endpoint))
    _wait_for_the_end(pump)


def _wait_for_the_end(pump: Pump) -> NoReturn:
    ended = threading.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: ended.set())
    ended.wait()
    # What moto keeps ends here as well, so nothing is worth waiting for longer.
    pump.stop(0.5)
    sys.stdout.flush()
    os._exit(0)


def _outputs(endpoint: str) -> str:
    cloudformation, secrets = _client("cloudformation", endpoint), _client("secretsmanager", endpoint)
    made = {
        one["LogicalResourceId"]: one["PhysicalResourceId"]
        for one in cloudformation.describe_stack_resources(StackName=NAME)["StackResources"]
    }
    key = secrets.get_secret_value(SecretId=NAME)["SecretString"]
    lines = {
        "API": f"http://127.0.0.1:{os.environ.get('PORT', str(GATEWAY_PORT))}",
        "AWS": f"{endpoint} (AWS_ENDPOINT_URL; region {REGION}, any credentials)",
        "Inbox": f"s3://{made['InboxBucket']}/inbox/",
        "Predictions": f"s3://{made['InboxBucket']}/predictions/",
        "Webhook-Url": f"https://{HOST}:{WEBHOOKS_PORT}/…",
        "Webhook key": f"whsec_{key}",
    }
    return "\n".join(f"{name:12} {value}" for name, value in lines.items())


def main() -> None:
    """Serve, or say where things are."""
    if sys.argv[1:] == ["outputs"]:
        _say(_outputs(f"http://127.0.0.1:{os.environ.get('AWS_PORT', '4566')}"))
        return

    def end(failure: threading.ExceptHookArgs) -> None:
        # A thread that has ended would be missed by nobody but who waits for its queue.
        sys.excepthook(failure.exc_type, failure.exc_value or failure.exc_type(), failure.exc_traceback)
        os._exit(1)

    threading.excepthook = end
    serve()


if __name__ == "__main__":
    main()
