"""The functions of the stack as their containers start them: an environment in a file, and ports of the emulator."""

import shlex
from pathlib import Path
from typing import NamedTuple

from local.stack import REGION, Stack

# The emulators listen from here on, their runtime APIs from there on.
_FIRST_PORT, _FIRST_RUNTIME_PORT = 9100, 9200
_HANDLER = "handler.handler"


class Function(NamedTuple):
    """A function, where its emulator listens, and its own Timeout."""

    name: str
    port: int
    runtime_port: int
    timeout_s: float


def functions_of(stack: Stack) -> list[Function]:
    """The functions that are made, each with ports of its own."""
    return [
        Function(name, _FIRST_PORT + place, _FIRST_RUNTIME_PORT + place, float(stack.properties(name)["Timeout"]))
        for place, name in enumerate(stack.functions())
    ]


def environment(function: Function, stack: Stack, endpoint: str) -> dict[str, str]:
    """What the template says of a function, and what Lambda adds to it.

    https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html#configuration-envvars-runtime
    """
    properties = stack.properties(function.name)
    return {
        **stack.variables(function.name),
        "AWS_LAMBDA_FUNCTION_NAME": function.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(properties["MemorySize"]),
        "AWS_LAMBDA_FUNCTION_TIMEOUT": str(properties["Timeout"]),
        "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": endpoint,
        # moto takes any.
        "AWS_ACCESS_KEY_ID": function.name,
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_EC2_METADATA_DISABLED": "true",
        "HANDLER": properties.get("ImageConfig", {}).get("Command", [_HANDLER])[0],
        "EMULATOR": f"127.0.0.1:{function.port}",
        "RUNTIME_API": f"127.0.0.1:{function.runtime_port}",
    }


def write(file: Path, variables: dict[str, str]) -> None:
    """Write an environment as lines that a shell reads."""
    file.write_text("".join(f"{name}={shlex.quote(value)}\n" for name, value in sorted(variables.items())))
