"""What template.yaml makes of events and files, made: by moto, and used with the rights of the template's own roles."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_plus

import pytest

from app.results import Result
from app.results.places import sink_of
from app.storage.s3_parts import S3Parts, version_of
from app.storage.s3_streams import S3Place, S3Source
from app.storage.step_functions import start
from local.lambda_queue import Queue
from tests.acting import acting_as
from tests.deployment import ACCOUNT, Resources, deployed
from tests.event_parameters import BUS, EVERYTHING, STREAM
from tests.jobs.moto_stores import REGION

FILE = b"a,b\n1,2\n"
# More than one part of an upload in parts.
LARGE = b"1,2\n" * 2_500_000
RESULTS = [Result(f"record-{number}", "sqs", b'{"outputs": {}}', "application/json", "iris", "1") for number in range(3)]
BUCKET, NAME = "results-of-flowers", "flowers"


@pytest.fixture(name="made", scope="module")
def _made() -> Iterator[Resources]:
    """Events, inbox and batch, without sources of others."""
    with deployed(Events="on", Inbox="on", Batch="on") as made:
        yield made


def keys(queue: Queue) -> list[str]:
    """The keys that the events in a queue name; S3's test of a new notification names none."""
    found: list[str] = []
    while (event := queue.event()) is not None:
        bodies = [json.loads(record["body"]) for record in event["Records"]]
        found += [unquote_plus(record["s3"]["object"]["key"]) for body in bodies for record in body.get("Records", [])]
    return found


def attributes(made: Resources, queue: str) -> dict[str, str]:
    sqs = made.client("sqs")
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=made.names[queue], AttributeNames=["All"])["Attributes"]
    return found


@pytest.mark.parametrize(("queue", "dead"), [("RequestsQueue", "RequestsDeadQueue"), ("InboxQueue", "InboxDeadQueue")])
def test_queues_give_up_into_their_dead_letters(made: Resources, queue: str, dead: str) -> None:
    """A queue as it is made hands a message over to its dead letters after so many receives."""
    redrive = json.loads(attributes(made, queue)["RedrivePolicy"])

    assert attributes(made, dead)["QueueArn"] == redrive["deadLetterTargetArn"]
    assert 5 == int(redrive["maxReceiveCount"])


def test_bucket_tells_of_files_and_not_of_predictions(made: Resources) -> None:
    """What is put below inbox/ is in the queue with its key, and what is put elsewhere is not."""
    s3, queue = made.client("s3"), Queue(made.client("sqs"), made.names["InboxQueue"])
    for key in ("inbox/iris/a.csv", "predictions/iris/a.csv/predictions.csv", "batches/a.csv", "inbox.csv"):
        s3.put_object(Bucket=made.names["InboxBucket"], Key=key, Body=FILE)

    assert ["inbox/iris/a.csv"] == keys(queue)


def test_worker_of_files_reads_and_writes(made: Resources) -> None:
    """With its role the worker of files finds and reads a version of a file, and writes small and large predictions once."""
    bucket = made.names["InboxBucket"]
    version = made.client("s3").put_object(Bucket=bucket, Key="inbox/a.csv", Body=FILE)["VersionId"]
    with acting_as("InboxWorker", made):
        source = S3Source.find(bucket, "inbox/a.csv", version)
        assert source is not None
        with source.open() as stream:
            read = stream.read()
        place = S3Place(bucket, "predictions/")
        committed = []
        for body in (FILE, LARGE):
            for _ in range(2):
                with place.create(f"{len(body)}.csv", "text/csv") as output:
                    output.write(body)
                    committed.append(output.commit())
        with place.create("left.csv", "text/csv") as output:
            output.write(LARGE)
        nothing = (place.read("left.csv"), S3Source.find(bucket, "inbox/b.csv"))
        kept = place.read(f"{len(FILE)}.csv")

    assert (FILE, FILE, (None, None)) == (read, kept, nothing)
    assert [True, False] == committed[:2]
    assert committed[2]
    assert "s3:AbortMultipartUpload" in {call.action for call in made.gate.calls}


def test_worker_of_batches_writes_parts(made: Resources) -> None:
    """With its role the worker of batches looks at files of both prefixes, and writes and lists parts."""
    bucket = made.names["InboxBucket"]
    for prefix in ("inbox", "batches"):
        made.client("s3").put_object(Bucket=bucket, Key=f"{prefix}/c.csv", Body=FILE)
    with acting_as("BatchWorker", made):
        found = [version_of(bucket, key) for key in ("inbox/c.csv", "batches/c.csv")]
        kept = S3Parts(bucket, "predictions/run/")
        added = [kept.add("parts/0-1.jsonl", b"{}\n", "application/jsonl") for _ in range(2)]
        names = list(kept.names("parts/"))

    assert all(found)
    assert [True, False] == added
    assert ["parts/0-1.jsonl"] == names


@pytest.mark.parametrize("function", ["InboxWorker", "BatchWorker"])
def test_workers_start_the_machine(made: Resources, function: str) -> None:
    """With their roles the workers start an execution of the template's machine, by the ARN that they are told."""
    machine = made.environment(function)["BATCH_STATE_MACHINE_ARN"]
    told = {"bucket": "none", "key": "none", "output_bucket": "none", "output_prefix": "none/", "input_format": "csv"}
    with acting_as(function, made):
        arn, is_new = start(machine, f"run-{function}", told)

    assert made.names["BatchMachine"] == machine
    assert arn.endswith(f":run-{function}")
    assert is_new


def places() -> dict[str, str]:
    """A value of ResultsTo for each place; the queue is the stack's own."""
    return {"queue": "", "prefix": f"s3://{BUCKET}/answers/", "bus": BUS, "stream": STREAM}


@pytest.mark.parametrize("place", places())
def test_worker_puts_results_where_it_is_told(place: str) -> None:
    """With its role the worker puts results into the place of the parameter, by the address that its environment has."""
    parameters = {"Events": "on", "ResultsTo": places()[place]}
    with deployed(**parameters) as made:
        provide(made, place)
        with acting_as("RecordsWorker", made):
            outcomes = sink_of(made.environment("RecordsWorker")["RESULTS_TO"], cloudevents=False).put(RESULTS)

        assert [None] * len(RESULTS) == outcomes


def test_worker_replies_where_it_may(made: Resources) -> None:
    """With its role the worker sends to the queue of ReplyQueueUrl, whose senders ask for it by that very address."""
    url = made.client("sqs").create_queue(QueueName="replies")["QueueUrl"]
    assert EVERYTHING["ReplyQueueUrl"].rpartition("/")[2] == url.rpartition("/")[2]
    with deployed(Events="on", ReplyQueueUrl=EVERYTHING["ReplyQueueUrl"]) as told, acting_as("RecordsWorker", told):
        replied = sink_of(url, cloudevents=False).put(RESULTS)

        assert [None] * len(RESULTS) == replied
        assert url.rpartition("/")[2] == told.environment("RecordsWorker")["REPLY_QUEUE_URLS"].rpartition("/")[2]


def provide(made: Resources, place: str) -> None:
    """Make what is not the stack's own, if another test has not."""
    s3 = made.client("s3")
    if place == "prefix" and BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    events = made.client("events")
    if place == "bus" and NAME not in {bus["Name"] for bus in events.list_event_buses()["EventBuses"]}:
        events.create_event_bus(Name=NAME)
    firehose = made.client("firehose")
    if place == "stream" and NAME not in firehose.list_delivery_streams()["DeliveryStreamNames"]:
        written: dict[str, Any] = {"RoleARN": f"arn:aws:iam::{ACCOUNT}:role/firehose", "BucketARN": f"arn:aws:s3:::{BUCKET}"}
        firehose.create_delivery_stream(DeliveryStreamName=NAME, ExtendedS3DestinationConfiguration=written)
