"""What docs/deploy.md says of costs: computed, of what is measured and of what the template makes."""

import json
import math
import subprocess
import sys
from pathlib import Path

import pytest

from deployment.cost_tables import OPTIONS, tables
from deployment.costs import SECONDS, Work, billed_ms, idle, predicting, table
from local.template import ROOT, of_type, written

PAGE = ROOT / "docs" / "deploy.md"


def test_page_has_the_tables() -> None:
    """The page's tables are those that the prices and the template come to; `make pages` writes them."""
    assert tables() in PAGE.read_text()


def test_a_prediction_is_what_its_parts_are() -> None:
    """By hand: 1,769 MB for 100 ms, ten million times, over a REST API on arm64."""
    found = predicting(Work(10_000_000, 100.0, 1769, "arm64", "REST"))

    assert math.isclose(10_000_000 * 0.1 * 1769 / 1024 * 0.0000133334, found["Lambda, time"])
    assert math.isclose(2.0, found["Lambda, requests"])
    assert math.isclose(35.0, found["API Gateway"])
    assert math.isclose(10_000_000 * 2200 / 1e9 * 0.5, found["logs"])


@pytest.mark.parametrize(
    ("memory", "milliseconds", "billed"), [(1769, 2.0, 2), (1769, 2.1, 3), (512, 2.0, 7), (10_240, 2.0, 2), (885, 100.0, 200)]
)
def test_time_is_billed_as_memory_gives_it(memory: int, milliseconds: float, billed: int) -> None:
    """Less than a whole vCPU takes so much longer, milliseconds are rounded up, and more than one is not counted on."""
    assert billed == billed_ms(Work(1, milliseconds, memory))


def test_an_idle_stack_costs_about_nothing() -> None:
    """Nobody calls and nothing is switched on: the storage of one image. No option but kept environments costs more than a few dollars."""
    assert {"images"} == idle({}).keys()
    assert sum(idle({}).values()) < 0.05
    assert all(sum(idle(parameters).values()) < 5 for parameters in OPTIONS.values() if "ProvisionedConcurrency" not in parameters)


def test_idle_costs_follow_the_template() -> None:
    """Every queue that is polled, secret, alarm and image is counted; by hand for jobs."""
    found = idle({"Jobs": "on"})

    assert math.isclose(2 * 5 * SECONDS / 20 * 4e-7, found["polling of queues"])
    assert math.isclose(0.4, found["secret"])
    assert math.isclose(4 * 0.13 * 0.1, found["images"])
    assert idle({"Jobs": "on", "Alarms": "on"})["alarms"] > idle({"Alarms": "on"})["alarms"] > 0


@pytest.fixture(name="written_lines", scope="module")
def _written_lines(models: Path) -> list[str]:
    """The lines that a warm function writes for one small prediction."""
    code = (
        "import json, sys, types, handler; context = types.SimpleNamespace(aws_request_id='8f8a4a3a-5d0a-4f5e-9c55-2f1f0f1b2c3d',"
        " get_remaining_time_in_millis=lambda: 29000, tenant_id=None, invoked_function_arn='arn:aws:lambda:us-east-1:123456789012:function:f');"
        " [handler.handler(json.loads(sys.argv[1]), context) for _ in range(2)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, (ROOT / "events" / "http-api-v2-predict.json").read_text()],
        cwd=ROOT,
        env={
            "MODEL_DIR": str(models),
            "AWS_LAMBDA_FUNCTION_NAME": "f",
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
            "AWS_REGION": "us-east-1",
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return [line for line in done.stdout.splitlines() if line.startswith("{")][-2:]


def test_logs_of_a_prediction_are_as_long_as_that(written_lines: list[str]) -> None:
    """What the function writes for a small prediction, with Lambda's own lines and the API's, is what is counted, give or take a fifth."""
    # START, END and REPORT of Lambda, and the access log's line as its values are filled in.
    others = 72 + 58 + 175 + 420
    # CloudWatch counts 26 bytes more for each: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutLogEvents.html
    length = sum(len(line) + 26 for line in written_lines) + others + 4 * 26

    assert 0.8 * table()["usage"]["log_bytes_of_a_prediction"] < length < 1.2 * table()["usage"]["log_bytes_of_a_prediction"]


def test_metrics_of_a_prediction_are_as_many(written_lines: list[str]) -> None:
    """The metrics that a prediction of a warm environment writes for its model are as many as are counted."""
    (document,) = [found for line in written_lines if "_aws" in (found := json.loads(line))]
    (told,) = document["_aws"]["CloudWatchMetrics"]

    assert table()["usage"]["metrics_of_a_model"] == len(told["Metrics"]) * len(told["Dimensions"])


def test_command_answers_for_another_load() -> None:
    """`python -m deployment costs` prints the parts and their sum for a load of one's own."""
    command = [sys.executable, "-m", "deployment", "costs", "--predictions", "1000", "--ms", "12", "--with", "Jobs=on"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)

    assert "12 ms billed" in done.stdout
    assert "| idle: secret | 0.40 |" in done.stdout
    assert "| **together** |" in done.stdout


def test_prices_are_dated_and_sourced() -> None:
    """Prices have a day, a region and the pages that they are from."""
    found = table()

    assert "us-east-1" == found["region"]
    assert found["as_of"] in PAGE.read_text()
    assert all(page.startswith("https://aws.amazon.com/") for page in found["pages"])


def test_dashboard_counts_with_the_same_prices() -> None:
    """The dashboard's cost of a thousand predictions is computed with these prices."""
    boards = of_type(written()["Resources"], "AWS::CloudWatch::Dashboard")
    prices = table()["prices"]
    for board in boards.values():
        told = json.dumps(board)
        for price in (*prices["lambda_gb_second"].values(), *prices["api_request"].values(), prices["lambda_request"]):
            assert f"{price:.10f}".rstrip("0") in told
