"""What the function answers to the samples of S3's events, where the inbox is the bucket that they name."""

from collections.abc import Callable
from typing import Any

from app.storage.aws_clients import call, client

BUCKET = "amzn-s3-demo-bucket"
SETTINGS = {"INBOX_BUCKET": BUCKET, "INBOX_PREFIX": "inbox/", "OUTPUT_PREFIX": "predictions/"}
KEY = "inbox/iris/red flowers+1.csv"
FLOWERS = b"5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n6.3,3.3,6.0,2.5\n"


def lay_out() -> None:
    """Put the object that the samples name into the server of the tests, and nothing else into the bucket."""
    region = client("s3").meta.region_name
    if BUCKET not in {bucket["Name"] for bucket in call("s3", "list_buckets")["Buckets"]}:
        call("s3", "create_bucket", Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": region})
    for found in call("s3", "list_objects_v2", Bucket=BUCKET).get("Contents", ()):
        call("s3", "delete_object", Bucket=BUCKET, Key=found["Key"])
    call("s3", "put_object", Bucket=BUCKET, Key=KEY, Body=FLOWERS, ContentType="text/csv")


def _one_done(answer: Any) -> None:
    assert {"done": 1, "refused": 0, "handed over": 0, "passed over": 0, "gone": 0} == answer


def _nothing_to_do(answer: Any) -> None:
    assert {"done": 0, "refused": 0, "handed over": 0, "passed over": 0, "gone": 0} == answer


def _all_done(answer: Any) -> None:
    assert {"batchItemFailures": []} == answer


EXPECTED_OF_S3: dict[str, Callable[[Any], None]] = {
    "eventbridge-s3-object-created": _one_done,
    "s3-delete": _nothing_to_do,
    "s3-put": _one_done,
    "s3-test-event": _nothing_to_do,
    "sqs-s3": _all_done,
}
