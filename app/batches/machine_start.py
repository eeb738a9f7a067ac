"""Starts runs of the batch machine: for the command line, for schedules, and for files that are too large for one invocation."""

from typing import NamedTuple

from app.batches.machine_run import Asked, Run, run_of, split
from app.errors import Invalid
from app.storage import step_functions
from app.storage.s3_parts import listing_version, version_of


class Started(NamedTuple):
    """The execution that does what was asked; ``is_new`` is False where there was one already, whatever became of it."""

    arn: str
    run: Run
    is_new: bool


def with_version(asked: Asked) -> Asked:
    """The same with the version of the input that is there now.

    :raises Invalid: where there is none.
    """
    bucket, key = split(asked.input, "input")
    found = version_of(bucket, key) if key and not key.endswith("/") else listing_version(bucket, key)
    if found is None:
        raise Invalid(f"There is nothing at {asked.input}, or this account may not read it.")
    return asked._replace(input_version=found)


def start_batch(machine_arn: str, asked: Asked, *, try_number: int = 1) -> Started:
    """Start the run, once: asked again it is the same execution.

    :param try_number: from 2 on, an execution of its own that goes on in the same folder, after one that cannot be redriven.
    :raises SettingError: where there is no such state machine.
    :raises Invalid: for something that cannot be asked for.
    :raises StoreUnavailable: where nothing is known of it.
    """
    asked = asked if asked.input_version else with_version(asked)
    run = run_of(asked)
    if try_number > 1:
        run = run._replace(name=f"{run.name}-{try_number}")
    arn, is_new = step_functions.start(machine_arn, run.name, run.input)
    return Started(arn, run, is_new)
