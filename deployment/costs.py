"""What a stack costs a month: of the prices in prices.json, of what the template makes, and of how much is predicted.

Nothing is taken off for AWS's free tier, discounts or taxes.
"""

import functools
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from local.template import of_type, written
from local.template_values import Values

PRICES = Path(__file__).with_name("prices.json")
HOURS = 730
SECONDS = HOURS * 3600
# One vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
WHOLE_CPU_MB = 1769


class Work(NamedTuple):
    """What is predicted in a month, and by what."""

    predictions: int
    # of one vCPU, for one prediction
    cpu_ms: float
    memory_mb: int = WHOLE_CPU_MB
    architecture: str = "x86_64"
    api: str = "HTTP"


@functools.cache
def table() -> dict[str, Any]:
    """prices.json; nobody changes it."""
    found: dict[str, Any] = json.loads(PRICES.read_text())
    return found


def billed_ms(work: Work) -> int:
    """Milliseconds that Lambda bills for a prediction: less than a vCPU takes longer, more is not counted on."""
    return math.ceil(work.cpu_ms / min(1.0, work.memory_mb / WHOLE_CPU_MB))


def predicting(work: Work) -> dict[str, float]:
    """USD a month by what they are paid for, beside what the stack costs while it is idle."""
    prices, usage, count = table()["prices"], table()["usage"], work.predictions
    seconds = count * billed_ms(work) / 1000
    return {
        "Lambda, time": seconds * work.memory_mb / 1024 * prices["lambda_gb_second"][work.architecture],
        "Lambda, requests": count * prices["lambda_request"],
        "API Gateway": count * prices["api_request"][work.api],
        "logs": count * usage["log_bytes_of_a_prediction"] / 1e9 * prices["log_gb"],
        "metrics": (usage["metrics_of_a_model"] + usage["metrics_of_a_route"]) * prices["metric_month"] if count else 0.0,
        "answers to the internet": count * usage["answer_bytes"] / 1e9 * prices["internet_gb"],
    }


def idle(parameters: Mapping[str, str]) -> dict[str, float]:
    """USD a month of a stack that nobody calls, by what they are paid for; of what the template makes with these parameters."""
    prices, usage = table()["prices"], table()["usage"]
    resources = Values(parameters).resources(written()["Resources"])
    functions = of_type(resources, "AWS::Serverless::Function")
    sweepers = [one for one in functions.values() for event in one.get("Events", {}).values() if event["Type"] == "ScheduleV2"]
    alarmed = sum(max(1, _metrics(alarm)) for alarm in of_type(resources, "AWS::CloudWatch::Alarm").values())
    polls = usage["pollers_of_an_idle_queue"] * SECONDS / usage["seconds_of_a_poll"]
    found = {
        "images": len(functions) * usage["image_gb"] * prices["image_gb_month"],
        "polling of queues": _polled(functions) * polls * prices["sqs_request"],
        "secret": len(of_type(resources, "AWS::SecretsManager::Secret")) * prices["secret_month"],
        "sweeper": sum(_sweeping(one["MemorySize"]) for one in sweepers),
        "alarms": alarmed * prices["alarm_metric_month"],
        "dashboard": len(of_type(resources, "AWS::CloudWatch::Dashboard")) * prices["dashboard_month"],
        "environments kept ready": int(parameters.get("ProvisionedConcurrency", "0")) * kept_ready(),
    }
    return {name: usd for name, usd in found.items() if usd}


def kept_ready(memory_mb: int = WHOLE_CPU_MB, architecture: str = "x86_64") -> float:
    """USD a month of one environment of provisioned concurrency."""
    price: float = table()["prices"]["lambda_provisioned_gb_second"][architecture]
    return SECONDS * memory_mb / 1024 * price


def _metrics(alarm: Mapping[str, Any]) -> int:
    return sum("MetricStat" in one for one in alarm.get("Metrics", []))


def _polled(functions: Mapping[str, Any]) -> int:
    return sum(event["Type"] == "SQS" for one in functions.values() for event in one.get("Events", {}).values())


def _sweeping(memory_mb: int) -> float:
    prices, usage = table()["prices"], table()["usage"]
    once: float = (
        prices["schedule_invocation"]
        + prices["lambda_request"]
        + usage["seconds_of_a_sweep"] * memory_mb / 1024 * prices["lambda_gb_second"]["x86_64"]
        + usage["lists_of_a_sweep"] * prices["s3_list"]
        + usage["read_units_of_a_sweep"] * prices["dynamodb_read_unit"]
        + usage["receives_of_a_sweep"] * prices["sqs_request"]
    )
    return HOURS * 60 * once


def lines(found: Mapping[str, float]) -> Iterator[str]:
    """Rows of a table, and their sum."""
    for name, usd in found.items():
        yield f"| {name} | {money(usd)} |"
    yield f"| **together** | **{money(sum(found.values()))}** |"


def money(usd: float) -> str:
    """USD as people write them: cents where there are few dollars."""
    return f"{usd:,.0f}" if usd >= 100 else f"{usd:,.2f}"
