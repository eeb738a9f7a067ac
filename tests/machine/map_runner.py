"""Executes statemachines/batch_predict.asl.json itself, with what moto's engine lacks: JSONL and Parquet, ItemBatcher, tolerated failures,
ResultWriter, the limits of Step Functions, and redrive. Where the guide leaves open what happens, it does what hurts more.

https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

import csv
import io
import json
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pyarrow.parquet
from botocore.exceptions import ClientError

from app.storage import aws_clients
from tests.machine import definition

# "Payload size" and "Maximum input or output size for a task, state, or execution": Step Functions quotas.
PAYLOAD_BYTES = 256 * 1024
MAP_RUN = "arn:aws:states:eu-west-1:123456789012:mapRun:batch/Rows:1"
Invoke = Callable[[Any], Any]


class Failed(Exception):
    """An execution, or a state of one, that failed with an error's name."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error = error
        self.cause = cause


class Execution:
    """One execution. ``invoke`` is the function; ``die_after`` ends the execution after so many invokes of it, as an abort does."""

    def __init__(self, invoke: Invoke, told: dict[str, Any], *, die_after: int | None = None) -> None:
        self.invokes: list[Any] = []
        self.waits: list[float] = []
        self.die_after = die_after
        self.children: dict[int, Any] = {}
        self.batches: list[list[Any]] = []
        self._invoke = invoke
        self._machine = definition.machine()
        self._told = told
        self._state, self._data = self._machine["StartAt"], told
        self._counts: dict[str, int] = {}

    def run(self) -> Any:
        """Until the end; again, it is a redrive: from the state that failed on, and of a Map only the children that did not succeed."""
        while True:
            state = self._machine["States"][self._state]
            found = getattr(self, f"_{state['Type'].lower()}")(state, self._data)
            check_size(found, "States.DataLimitExceeded")
            if state.get("End"):
                return found
            self._state, self._data = (found, self._data) if state["Type"] == "Choice" else (state["Next"], found)

    def _pass(self, state: dict[str, Any], data: Any) -> Any:
        return at(template(state["Parameters"], data), state.get("OutputPath", "$"))

    def _choice(self, state: dict[str, Any], data: Any) -> str:
        chosen = (rule["Next"] for rule in state["Choices"] if at(data, rule["Variable"]) == rule["StringEquals"])
        return str(next(chosen, state["Default"]))

    def _fail(self, state: dict[str, Any], data: Any) -> Any:
        raise Failed(state["Error"], state["Cause"])

    def _task(self, state: dict[str, Any], data: Any) -> Any:
        asked = template(state["Parameters"], data)
        check_size(asked, "States.DataLimitExceeded")
        if state["Resource"] == "arn:aws:states:::aws-sdk:sfn:describeMapRun":
            assert MAP_RUN == asked["MapRunArn"]
            return {**data, "items": template(state["ResultSelector"], {"ItemCounts": self._counts})}
        answer = {"Payload": self._tried(state, asked["Payload"])}
        check_size(answer, "States.DataLimitExceeded")
        return at(answer, state["OutputPath"])

    def _tried(self, state: dict[str, Any], payload: Any) -> Any:
        used: dict[int, int] = {}
        while True:
            try:
                return self._invoked(payload)
            except Failed as failed:
                known = (i for i, rule in enumerate(state["Retry"]) if failed.error in rule["ErrorEquals"])
                number = next(known, None)
                if number is None or used.get(number, 0) >= state["Retry"][number]["MaxAttempts"]:
                    raise
                rule = state["Retry"][number]
                self.waits.append(min(rule["IntervalSeconds"] * rule["BackoffRate"] ** used.get(number, 0), rule["MaxDelaySeconds"]))
                used[number] = used.get(number, 0) + 1

    def _invoked(self, payload: Any) -> Any:
        if self.die_after is not None and len(self.invokes) >= self.die_after:
            raise KeyboardInterrupt
        event = json.loads(json.dumps(payload))
        self.invokes.append(event)
        try:
            return json.loads(json.dumps(self._invoke(event)))
        except Failed:
            raise
        except Exception as error:
            # awslambdaric's errorType
            raise Failed(type(error).__name__, str(error)) from error

    def _map(self, state: dict[str, Any], data: Any) -> Any:
        if not self.batches:
            self.batches = list(batches(state, data))
        total = sum(map(len, self.batches))
        told = template(state["ItemBatcher"]["BatchInput"], data)
        child = state["ItemProcessor"]["States"][state["ItemProcessor"]["StartAt"]]
        allowed = at(data, state["ToleratedFailurePercentagePath"])
        assert 0 < at(data, state["MaxConcurrencyPath"]) <= 10_000
        failed = 0
        for number, items in enumerate(self.batches):
            if number in self.children:
                continue
            given = {"Items": items, "BatchInput": told}
            check_size(given, "States.DataLimitExceeded")
            try:
                self.children[number] = self._task(child, given)
            except Failed as error:
                failed += len(items)
                self._counts = {"Total": total, "Failed": failed}
                if failed * 100 > allowed * total:
                    raise Failed("States.ExceedToleratedFailureThreshold", str(error)) from error
        self._counts = {"Total": total, "Succeeded": total - failed, "Failed": failed}
        return {**data, "map": self._written(state["ResultWriter"], data)}

    def _written(self, writer: dict[str, Any], data: Any) -> dict[str, Any]:
        place = template(writer["Parameters"], data)
        assert {"Transformation": "COMPACT", "OutputType": "JSONL"} == writer["WriterConfig"]
        prefix = f"{place['Prefix']}/{uuid.uuid4()}"
        lines = "".join(json.dumps(found) + "\n" for found in self.children.values())
        s3 = aws_clients.client("s3")
        s3.put_object(Bucket=place["Bucket"], Key=f"{prefix}/SUCCEEDED_0.jsonl", Body=lines.encode())
        s3.put_object(Bucket=place["Bucket"], Key=f"{prefix}/manifest.json", Body=b"{}")
        return {"MapRunArn": MAP_RUN, "ResultWriterDetails": {"Bucket": place["Bucket"], "Key": f"{prefix}/manifest.json"}}


def batches(state: dict[str, Any], data: Any) -> Iterator[list[Any]]:
    """What ItemReader reads, as ItemSelector and ItemBatcher make it, by both limits."""
    batcher = state["ItemBatcher"]
    most = batcher.get("MaxItemsPerBatch") or at(data, batcher["MaxItemsPerBatchPath"])
    assert 0 < batcher["MaxInputBytesPerBatch"] <= PAYLOAD_BYTES
    part: list[Any] = []
    for index, value in enumerate(values(state["ItemReader"], data)):
        item = template(state["ItemSelector"], data, {"Map": {"Item": {"Index": index, "Value": value}}})
        if part and (len(part) == most or size_of([*part, item]) > batcher["MaxInputBytesPerBatch"]):
            yield part
            part = []
        if size_of([item]) > batcher["MaxInputBytesPerBatch"]:
            raise Failed("States.DataLimitExceeded", "an item is larger than a batch may be")
        part.append(item)
    if part:
        yield part


def values(reader: dict[str, Any], data: Any) -> Iterator[Any]:
    """The items of an ItemReader."""
    place = template(reader["Parameters"], data)
    s3 = aws_clients.client("s3")
    if reader["Resource"].endswith(":listObjectsV2"):
        for found in s3.list_objects_v2(**place).get("Contents", ()):
            yield {**found, "LastModified": int(found["LastModified"].timestamp())}
        return
    try:
        body = s3.get_object(**place)["Body"].read()
    except ClientError as error:
        raise Failed("States.ItemReaderFailed", "no such object") from error
    kind = reader["ReaderConfig"]["InputType"]
    if kind == "CSV":
        assert "FIRST_ROW" == reader["ReaderConfig"]["CSVHeaderLocation"]
        # Nothing says that the columns keep their order.
        yield from (dict(reversed(row.items())) for row in csv.DictReader(io.StringIO(body.decode(), newline="")))
    elif kind == "JSON":
        yield from json.loads(body)
    elif kind == "JSONL":
        yield from (json.loads(line) for line in body.splitlines() if line.strip())
    else:
        assert "PARQUET" == kind
        yield from pyarrow.parquet.read_table(io.BytesIO(body)).to_pylist()


def template(found: Any, data: Any, context: Any = None) -> Any:
    """A payload template with its paths and intrinsic functions filled in."""
    if not isinstance(found, dict):
        return found
    return {
        name.removesuffix(".$"): value_of(value, data, context) if name.endswith(".$") else template(value, data, context)
        for name, value in found.items()
    }


def value_of(text: str, data: Any, context: Any) -> Any:
    """A path, or an intrinsic function of those that the machine has."""
    if text.startswith("$$."):
        return at(context, text[1:])
    if text.startswith("$"):
        return at(data, text)
    if merged := re.fullmatch(r"States\.JsonMerge\((\$\S+), (\$\S+), false\)", text):
        return {**at(data, merged[1]), **at(data, merged[2])}
    formatted = re.fullmatch(r"States\.Format\('(.*)', (\$\S+)\)", text)
    assert formatted, text
    return formatted[1].replace("{}", str(at(data, formatted[2])))


def at(data: Any, path: str) -> Any:
    """What a reference path leads to; one that leads nowhere is States.Runtime, as there."""
    for name in path.removeprefix("$").removeprefix(".").split("."):
        if name:
            if name not in data:
                raise Failed("States.Runtime", f"{path} leads nowhere")
            data = data[name]
    return data


def size_of(found: Any) -> int:
    """Bytes of UTF-8 JSON."""
    return len(json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode())


def check_size(found: Any, error: str) -> None:
    """Refuse what may not go between states."""
    if size_of(found) > PAYLOAD_BYTES:
        raise Failed(error, f"{size_of(found)} bytes")
