"""A file of CSV that is put into the inbox: the function is told of it by S3's event, reads it in chunks and writes the predictions to S3.

The function is a process of its own, from its start to its end; S3 is moto behind HTTP, in this process, on the same cores.
"""

import json
import os
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks import models
from benchmarks.events import Context
from benchmarks.figures import Figure, differences
from benchmarks.files import FEW, FLAT_MB, MANY, write_flowers
from benchmarks.plan import Plan
from benchmarks.processes import BenchmarkError, run, say

NAME = "onnx-lambda, S3's event"
_BUCKET, _REGION = "benchmark", "eu-west-1"
# What the template gives to a function of the inbox.
_INVOCATION_S = 300


def measure_inbox(plan: Plan) -> list[Figure]:
    """Both sizes of file by turns."""
    say(f"files of {FEW:,} and {MANY:,} rows in an inbox: {plan.file_rounds} rounds")
    seconds: dict[int, list[float]] = {FEW: [], MANY: []}
    peaks: dict[int, list[float]] = {FEW: [], MANY: []}
    with tempfile.TemporaryDirectory() as temporary:
        aws = _served()
        s3 = _client(aws)
        s3.create_bucket(Bucket=_BUCKET, CreateBucketConfiguration={"LocationConstraint": _REGION})
        for rows in (FEW, MANY):
            path = Path(temporary, f"{rows}.csv")
            write_flowers(path, rows)
            s3.put_object(Bucket=_BUCKET, Key=f"inbox/{rows}.csv", Body=path.read_bytes())
        for number in range(plan.file_rounds + 1):
            for rows in (FEW, MANY):
                taken, peak = _measured(rows, Path(temporary, "peak"), aws | {"OUTPUT_PREFIX": f"predictions-{number}/"})
                _check(s3, f"predictions-{number}/", rows)
                # The first round warms the caches.
                if number:
                    seconds[rows].append(taken)
                    peaks[rows].append(peak)
    return [
        Figure(f"{MANY:,} rows of CSV", NAME, "rows/s", [MANY / taken for taken in seconds[MANY]]),
        *(Figure(f"Highest memory, {rows:,} rows", NAME, "MB", peaks[rows]) for rows in (FEW, MANY)),
        Figure("The same, the one less the other", NAME, "MB", differences(peaks[MANY], peaks[FEW]), FLAT_MB),
    ]


def event(rows: int) -> dict[str, Any]:
    """What S3 tells of a file: https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html."""
    told = {"s3SchemaVersion": "1.0", "configurationId": "inbox", "bucket": {"name": _BUCKET}, "object": {"key": f"inbox/{rows}.csv"}}
    common = {"eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": _REGION, "eventTime": "2026-11-22T10:00:00.000Z"}
    return {"Records": [{**common, "eventName": "ObjectCreated:Put", "s3": told}]}


def _measured(rows: int, report: Path, aws: Mapping[str, str]) -> tuple[float, float]:
    """Seconds of the whole process, and the highest memory in MB that it had."""
    model = models.iris()
    settings = {"MODEL_DIR": str(model.folder), "JOBS": "off", "LOG_LEVEL": "WARNING", "INBOX_BUCKET": _BUCKET, **aws}
    started = time.perf_counter()
    run(
        [sys.executable, "-m", "benchmarks.inbox", str(rows)],
        {"PATH": os.environ["PATH"], "PEAK": str(report), **settings},
        seconds=_INVOCATION_S,
    )
    return time.perf_counter() - started, float(report.read_text()) / 1e6


def _check(s3: Any, prefix: str, rows: int) -> None:
    """The file has an answer for each row; it is deleted, as the server has it in memory."""
    keys = [found["Key"] for found in s3.list_objects_v2(Bucket=_BUCKET, Prefix=f"{prefix}{rows}/")["Contents"]]
    (predictions,) = [key for key in keys if key.endswith("/predictions.csv")]
    lines = s3.get_object(Bucket=_BUCKET, Key=predictions)["Body"].read().count(b"\n")
    for key in keys:
        s3.delete_object(Bucket=_BUCKET, Key=key)
    # The first one names the columns.
    if lines != rows + 1:
        raise BenchmarkError(f"{lines} lines for {rows} rows")


def _served() -> dict[str, str]:
    """S3 on a free port of this machine, as the environment in which botocore finds it."""
    from local.moto_server import moto_application, serve

    server = serve(moto_application(), "127.0.0.1", 0)
    return {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_DEFAULT_REGION": _REGION,
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _client(aws: Mapping[str, str]) -> Any:
    import botocore.session

    return botocore.session.get_session().create_client(
        "s3",
        endpoint_url=aws["AWS_ENDPOINT_URL"],
        region_name=_REGION,
        aws_access_key_id=aws["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=aws["AWS_SECRET_ACCESS_KEY"],
    )


class _Invocation(Context):
    """An invocation as long as the template's."""

    def __init__(self) -> None:
        self._deadline = time.monotonic() + _INVOCATION_S


def main() -> None:
    """The function, told of a file once: `PEAK=FILE python -m benchmarks.inbox ROWS`."""
    from handler import handler

    answer = handler(event(int(sys.argv[1])), _Invocation())
    if answer["done"] != 1:
        raise SystemExit(f"not predicted: {answer}")
    status = Path("/proc/self/status").read_text()
    Path(os.environ["PEAK"]).write_text(json.dumps(1024 * int(status.partition("VmHWM:")[2].split()[0])))


if __name__ == "__main__":
    main()
