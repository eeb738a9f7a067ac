"""Deliveries of SQS to the small model: packed by the trigger, beside one record at a time through Powertools' BatchProcessor.

The goal compares like with like: both decode, check, run and count each record by the same predictor, and write every answer. Where
results go nowhere, the trigger leaves the writing out. A bare handler that checks nothing and writes nothing is there to be seen.
"""

import json
import os
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.events import Context
from benchmarks.figures import Figure, ratios
from benchmarks.json_worker import take_turns
from benchmarks.plan import Plan
from benchmarks.processes import run, say

GOAL = 10.0
GOAL_RECORDS = 100
# At least so many are answered by one before it is the next one's turn.
_RECORDS = 2_000
SIZES = (10, 100, 1_000, 10_000)
PACKED, MADE = "packed", "packed, every result made"
ONE_BY_ONE, BARE = "Powertools BatchProcessor, the same predictor", "Powertools BatchProcessor, json and session.run alone"


def measure_deliveries(plan: Plan) -> list[Figure]:
    """Records per second, all ways in one process, round by round."""
    say(f"deliveries of {', '.join(map(str, SIZES))} records: {plan.delivery_rounds} rounds")
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder, "results.json")
        model = models.iris()
        named = {"MODEL_DIR": str(model.folder), "MODEL_FILE": str(model.file), "LOG_LEVEL": "WARNING", "JOBS": "off"}
        run([sys.executable, "-m", "benchmarks.deliveries", str(results), str(plan.delivery_rounds)], os.environ | named, seconds=300)
        samples = json.loads(results.read_text())
    figures = []
    for size in SIZES:
        found = samples[str(size)]
        case = f"{size:,} records of one row"
        figures += [Figure(case, name, "1/s", [size * 1000 / ms for ms in sample]) for name, sample in found.items()]
        goal = GOAL if size == GOAL_RECORDS else None
        figures.append(Figure(case, f"{MADE} ÷ {ONE_BY_ONE}", "×", ratios(found[ONE_BY_ONE], found[MADE]), goal, at_least=True))
        figures.append(Figure(case, f"packed ÷ {ONE_BY_ONE}", "×", ratios(found[ONE_BY_ONE], found[PACKED]), at_least=True))
        figures.append(Figure(case, f"packed ÷ {BARE}", "×", ratios(found[BARE], found[PACKED]), at_least=True))
    return figures


def event(size: int) -> dict[str, Any]:
    """A delivery: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html, "Example standard queue message event"."""
    return {
        "Records": [
            {
                "messageId": f"059f36b4-87a3-44ab-83d2-{number:012}",
                "receiptHandle": "AQEBwJnKyrHigUMZj6rYigCgxlaS3SLy0a" * 5,
                "body": json.dumps({"inputs": [[round(4.3 + number % 37 * 0.1, 1), 3.5, 1.4, 0.2]]}),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": "1545082649183",
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": "1545082649185",
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-2:123456789012:my-queue",
                "awsRegion": "us-east-2",
            }
            for number in range(size)
        ]
    }


class _Memory:
    """A place for results that forgets them."""

    def put(self, results: Any) -> list[Any]:
        return [None] * len(results)


def _ways() -> dict[str, Callable[[dict[str, Any]], Any]]:
    import numpy as np
    import onnxruntime
    from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

    from app.prediction import PredictionRequest
    from app.triggers.deliveries import Deliveries
    from app.triggers.outcomes import Outcomes
    from app.triggers.sqs import SqsTrigger
    from app.wiring import wire

    program = wire()
    session = onnxruntime.InferenceSession(os.environ["MODEL_FILE"], providers=["CPUExecutionProvider"])
    processor = BatchProcessor(event_type=EventType.SQS)

    def trigger(results_to: str) -> SqsTrigger:
        outcomes = Outcomes(lambda target: _Memory(), results_to=results_to)  # noqa: ARG005
        engine = Deliveries(program.predictor, program.observer, outcomes, lambda *_: b"", lambda deadline: None)  # noqa: ARG005
        return SqsTrigger({}, lambda deadline: None, engine.answer, engine.answer_alike, lambda body, times: None)  # noqa: ARG005

    def predict(record: SQSRecord) -> Any:
        return program.predictor.answer(PredictionRequest(record.body.encode()))

    def run_alone(record: SQSRecord) -> Any:
        return session.run(None, {"X": np.asarray(json.loads(record.body)["inputs"], np.float32)})

    packed, made = trigger(""), trigger("memory")
    return {
        PACKED: lambda found: packed(found, Context()),
        MADE: lambda found: made(found, Context()),
        ONE_BY_ONE: lambda found: process_partial_response(found, predict, processor),
        BARE: lambda found: process_partial_response(found, run_alone, processor),
    }


def main() -> None:
    """Time all ways, after each has shown that it fails no record: `python -m benchmarks.deliveries RESULT_FILE ROUNDS`."""
    target, rounds = Path(sys.argv[1]), int(sys.argv[2])
    ways, samples = _ways(), {}
    for size in SIZES:
        delivery = event(size)
        for name, answer in ways.items():
            if answer(delivery) != {"batchItemFailures": []}:
                raise SystemExit(f"{name} failed records")
        asked = {name: partial(answer, delivery) for name, answer in ways.items()}
        samples[size] = take_turns(asked, max(2, _RECORDS // size), rounds if size < max(SIZES) else max(3, rounds // 5))
    target.write_text(json.dumps(samples))


if __name__ == "__main__":
    main()
