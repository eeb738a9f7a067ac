"""Objects of the inbox: predicted once, into another folder, whatever comes between."""

import io
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import quote_plus

import pytest

from app.batches import Place, Source
from app.batches.files import FilePredictor, predict_file
from app.batches.machine_run import Asked, run_of
from app.batches.manifest import Manifest
from app.errors import DeadlineExceeded, InternalError, ModelNotReady, Problem, SettingError, StoreUnavailable
from app.observability import Observer
from app.prediction import PredictionRequest
from app.storage.aws_clients import call
from app.storage.s3_streams import S3Place
from app.triggers.records import Times
from app.triggers.s3 import Inbox, PredictFile, S3Trigger
from app.triggers.s3_notifications import S3Object, is_s3_event
from app.wiring import Program, wire
from tests import lambda_samples
from tests.jobs import aws_faults
from tests.jobs.aws_faults import s3_refusal
from tests.jobs.moto_stores import Aws, moto_names
from tests.lambda_samples_s3 import BUCKET, EXPECTED_OF_S3, KEY, lay_out
from tests.shells import Context, copy_models

FLOWERS = b"5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n6.3,3.3,6.0,2.5\n"
NONE_OF_THEM = {"done": 0, "refused": 0, "handed over": 0, "passed over": 0, "gone": 0}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Program:
    """The project's own models, iris with a second version."""
    folder = copy_models(tmp_path_factory.mktemp("inbox") / "models")
    (folder / "iris" / "1").rename(folder / "iris" / "2")
    copy_models(folder.parent / "again")
    (folder.parent / "again" / "iris" / "1").rename(folder / "iris" / "1")
    return wire({"MODEL_DIR": str(folder), "JOBS": "off", "DEFAULT_MODEL": "iris"})


class World(NamedTuple):
    """An inbox in a bucket of its own, and what it logs."""

    aws: Aws
    program: Program
    log: io.StringIO

    @property
    def bucket(self) -> str:
        return self.aws.names.bucket

    def inbox(self, predict: PredictFile | None = None, **more: Any) -> Inbox:
        observer = Observer(service=self.bucket[::-1], level="INFO", namespace="test", log_values=False, stream=self.log)
        settings = {"bucket": self.bucket, "input_prefix": "inbox/", "output_prefix": "out/", "bytes_per_s": 500_000}
        return Inbox(self.program.repository, observer, predict or self.predict, **(settings | more))

    def predict(self, source: Source, place: Place, model: str | None, version: str | None, deadline: float) -> Manifest:
        asked = PredictionRequest(b"", model, version, content_type="")
        return predict_file(source, place, asked, FilePredictor(self.program.predictor, self.program.repository), deadline=deadline)

    def put(self, key: str, body: bytes = FLOWERS, **more: Any) -> dict[str, Any]:
        """Put an object; the event that S3 makes of it."""
        made = call("s3", "put_object", Bucket=self.bucket, Key=key, Body=body, **more)
        self.aws.server.requests.clear()
        return self.event(key, made.get("VersionId", ""))

    def event(self, key: str, version: str = "") -> dict[str, Any]:
        event = lambda_samples.event("s3-put")
        event["Records"][0]["s3"]["bucket"]["name"] = self.bucket
        event["Records"][0]["s3"]["object"] = {"key": quote_plus(key), **({"versionId": version} if version else {})}
        return event

    def names(self) -> list[str]:
        """What is below the output prefix."""
        found = call("s3", "list_objects_v2", Bucket=self.bucket, Prefix="out/").get("Contents", [])
        return [one["Key"].removeprefix("out/") for one in found]

    def read(self, name: str) -> bytes:
        """The one object below the output prefix whose key ends so."""
        (key,) = [key for key in self.names() if key.endswith(name)]
        body = S3Place(self.bucket, "out/").read(key)
        assert body is not None
        return body

    def manifest(self) -> Any:
        return json.loads(self.read("manifest.json"))

    def logged(self) -> list[Any]:
        return [json.loads(line) for line in self.log.getvalue().splitlines()]


@pytest.fixture
def world(program: Program) -> Iterator[World]:
    """A bucket of its own."""
    with moto_names() as (server, names):
        yield World(Aws(server, names), program, io.StringIO())


def answered(inbox: Inbox, event: Any, context: Any = None) -> dict[str, int]:
    """What becomes of an event's objects, but for what became of none."""
    assert is_s3_event(event)
    answer = S3Trigger(inbox)(event, context or Context())
    assert NONE_OF_THEM.keys() == answer.keys()
    return {name: count for name, count in answer.items() if count}


def times(seconds: float) -> Times:
    return Times(time.monotonic() + seconds, time.monotonic() + seconds + 10)


@pytest.mark.parametrize("name", [name for name in EXPECTED_OF_S3 if name != "sqs-s3"])
def test_samples(world: World, name: str) -> None:
    """The samples get their answers."""
    lay_out()

    EXPECTED_OF_S3[name](S3Trigger(world.inbox(bucket=BUCKET))(lambda_samples.event(name), Context()))


def test_a_file_is_predicted(world: World) -> None:
    """A file of the inbox is predicted into the output prefix, in its own format and with a manifest, and told of in the log."""
    assert {"done": 1} == answered(world.inbox(), world.put("inbox/2026/red flowers+1.csv", FLOWERS))

    assert [b"0", b"1", b"2"] == [line.split(b",")[0] for line in world.read("predictions.csv").splitlines()[-3:]]
    assert ({3}, {0}) == ({world.manifest()["rows"]}, {world.manifest()["failures"]})
    assert all(key.startswith("2026/red_flowers_1/") for key in world.names())
    (line,) = world.logged()
    assert ("s3", "inbox/2026/red flowers+1.csv", "done", 3, len(FLOWERS)) == tuple(
        line[name] for name in ("trigger", "object", "outcome", "batch_size", "bytes")
    )
    assert world.bucket not in world.log.getvalue()


def test_a_bad_row(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad row is told with its line, the rest is predicted, and both are counted."""
    assert {"done": 1} == answered(world.inbox(), world.put("inbox/a.csv", FLOWERS + b"5.1,3.5,x,0.2\n"))

    assert 4 == json.loads(world.read("errors.jsonl"))["line"]
    assert 1 == world.manifest()["failures"]
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert ([[1.0]], [[3.0]]) == tuple([found[name] for found in metrics if name in found] for name in ("FailedRows", "Predictions"))


def test_the_same_event_twice(world: World, capsys: pytest.CaptureFixture[str]) -> None:
    """An event that comes again finds its file done: nothing is written again and nothing counted again."""
    inbox, event = world.inbox(), world.put("inbox/a.csv")
    answered(inbox, event)
    keys, first = world.names(), world.read("manifest.json")
    world.aws.server.requests.clear()
    capsys.readouterr()

    assert {"done": 1} == answered(inbox, event)
    assert ["HEAD", "GET", "HEAD"] == world.aws.server.requests
    assert (keys, first) == (world.names(), world.read("manifest.json"))
    assert "" == capsys.readouterr().out


def test_two_workers_at_the_same_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers who have the same event write one file each once, and both are done (F-35)."""
    passed, lock = world.aws.server._moto, threading.Lock()

    def one_at_a_time(environ: Any, start_response: Any) -> Any:
        # moto looks for a key and puts it in two steps, where S3 has one.
        with lock:
            return list(passed(environ, start_response))

    monkeypatch.setattr(world.aws.server, "_moto", one_at_a_time)
    event, ready = world.put("inbox/a.csv"), threading.Barrier(2)

    def predict(source: Source, *rest: Any) -> Manifest:
        ready.wait()
        return world.predict(source, *rest)

    inbox, answers = world.inbox(predict), []
    workers = [threading.Thread(target=lambda: answers.append(answered(inbox, event))) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert [{"done": 1}, {"done": 1}] == answers
    assert 2 == len(world.names())
    assert 3 == world.manifest()["rows"]


def test_a_crash_before_the_manifest(world: World) -> None:
    """After a crash between predictions and manifest the next delivery writes the manifest and leaves the predictions as they are (F-36)."""
    inbox, event = world.inbox(), world.put("inbox/a.csv")
    world.aws.server.fail("PUT", lambda moto, environ, start: moto(environ, start), *[s3_refusal(403, "AccessDenied")] * 9)
    with pytest.raises(StoreUnavailable):
        answered(inbox, event)
    world.aws.server.faults.clear()
    (predictions,) = world.names()
    etag = call("s3", "head_object", Bucket=world.bucket, Key=f"out/{predictions}")

    assert {"done": 1} == answered(inbox, event)
    assert [predictions.rpartition("/")[0] + "/manifest.json", predictions] == world.names()
    assert etag["Metadata"] == call("s3", "head_object", Bucket=world.bucket, Key=f"out/{predictions}")["Metadata"]


MODELS: dict[str, tuple[str, dict[str, str], tuple[str | None, str | None]]] = {
    "the default": ("inbox/a.csv", {}, (None, None)),
    "a folder": ("inbox/iris/a.csv", {}, ("iris", None)),
    "a folder and a version": ("inbox/iris/1/2026/a.csv", {}, ("iris", "1")),
    "a folder and no version of it": ("inbox/iris/2026/a.csv", {}, ("iris", None)),
    "a folder of no model": ("inbox/roses/1/a.csv", {}, (None, None)),
    "a file that is called like a model": ("inbox/iris", {}, (None, None)),
    "said with the object": ("inbox/iris/1/a.csv", {"model": "digits"}, ("digits", None)),
    "a version said with the object": ("inbox/iris/1/a.csv", {"version": "2"}, ("iris", "2")),
    "both said with the object": ("inbox/a.csv", {"model": "iris", "version": "1"}, ("iris", "1")),
    "a version of the default": ("inbox/a.csv", {"version": "1"}, (None, "1")),
}


@pytest.mark.parametrize("name", MODELS)
def test_which_model(world: World, name: str) -> None:
    """What is said with an object decides, then its folder, then the default."""
    key, metadata, expected = MODELS[name]
    asked = []

    def predict(source: Source, place: Place, model: str | None, version: str | None, deadline: float) -> Manifest:
        asked.append((model, version))
        raise ModelNotReady("later")

    with pytest.raises(ModelNotReady):
        answered(world.inbox(predict), world.put(key, Metadata=metadata))
    assert [expected] == asked


NOT_INPUT = ["out/a/0011223344556677/predictions.csv", "a.csv", "inbox", "inboxes/a.csv", "inbox/", "inbox/folder/", "Inbox/a.csv"]


@pytest.mark.parametrize("key", NOT_INPUT)
def test_what_is_no_input(world: World, key: str) -> None:
    """No object but those below the input prefix is even looked at, whatever an event says; folders that consoles make are none (F-50)."""
    assert {"passed over": 1} == answered(world.inbox(), world.put(key, FLOWERS))
    assert [] == world.aws.server.requests


def test_another_bucket(world: World) -> None:
    """An object of another bucket is not looked at."""
    event = world.put("inbox/a.csv")

    assert {"passed over": 1} == answered(world.inbox(bucket=f"{world.bucket}-2"), event)
    assert [] == world.aws.server.requests


def test_own_outputs_are_never_input(world: World) -> None:
    """Whatever is written for a file is itself no input: events of all of it end at once (F-50)."""
    inbox = world.inbox()
    answered(inbox, world.put("inbox/inbox/a.csv", FLOWERS + b"x\n"))
    answered(inbox, world.put("inbox/inbox/b.pdf"))
    written = [f"out/{key}" for key in world.names()]

    assert 4 == len(written)
    for key in written:
        assert {"passed over": 1} == answered(inbox, world.event(key))


@pytest.mark.parametrize(
    ("given", "output"), [("inbox/", "inbox/out/"), ("a/in/", "a/"), ("a", "a"), ("", "out/"), ("in/", ""), ("/", "out"), ("in", "in/out")]
)
def test_prefixes_that_would_loop(world: World, given: str, output: str) -> None:
    """Prefixes of which one lies in the other are refused at the start."""
    with pytest.raises(SettingError, match="INBOX_PREFIX"):
        world.inbox(input_prefix=given, output_prefix=output)


def test_prefixes_that_begin_alike(world: World) -> None:
    """Folders whose names begin alike are two folders."""
    inbox = world.inbox(input_prefix="in", output_prefix="in-out")

    assert {"done": 1} == answered(inbox, world.put("in/a.csv"))
    assert {"passed over": 1} == answered(inbox, world.event("in-out/a.csv"))


REFUSED: dict[str, tuple[str, bytes, dict[str, str], str]] = {
    "a suffix of no format": ("inbox/folder/a.pdf", b"%PDF", {}, "unsupported-content-type"),
    "no suffix": ("inbox/folder/a", b"a", {}, "unsupported-content-type"),
    "not of its format": ("inbox/folder/a.npy", b"no array", {}, "unreadable-request"),
    "an unknown model": ("inbox/folder/a.csv", FLOWERS, {"model": "roses"}, "unknown-model"),
    "an unknown version": ("inbox/folder/a.csv", FLOWERS, {"model": "iris", "version": "9"}, "unknown-version"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_file_that_is_refused(world: World, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that would be refused again is done, says why in error.json beside the predictions of others, once, and is counted."""
    key, body, metadata, code = REFUSED[name]
    inbox, event = world.inbox(), world.put(key, body, Metadata=metadata)

    assert {"refused": 1} == answered(inbox, event)
    (where,) = world.names()
    assert where.startswith("folder/a/")
    assert where.endswith("/error.json")
    told = json.loads(world.read("error.json"))
    assert (code, f"s3://{world.bucket}/{key}", len(body)) == (told["code"], told["source"], told["source_bytes"])
    (line,) = world.logged()
    assert (code, "refused", None) == (line["code"], line["outcome"], line.get("reason"))
    assert '"Errors":[1.0]' in capsys.readouterr().out

    assert {"refused": 1} == answered(inbox, event)
    assert [where] == world.names()


def test_a_deleted_object(world: World) -> None:
    """What is not there any more needs no prediction."""
    event = world.put("inbox/a.csv")
    call("s3", "delete_object", Bucket=world.bucket, Key="inbox/a.csv")

    assert {"gone": 1} == answered(world.inbox(), event)
    assert [] == world.names()


def test_versions_are_predicted_each(world: World) -> None:
    """Each version of an object has its own event and its own predictions, in whatever order they come (F-50)."""
    call("s3", "put_bucket_versioning", Bucket=world.bucket, VersioningConfiguration={"Status": "Enabled"})
    events = [world.put("inbox/a.csv", FLOWERS), world.put("inbox/a.csv", FLOWERS * 2)]

    assert [{"done": 1}] * 2 == [answered(world.inbox(), event) for event in reversed(events)]
    rows = [json.loads(S3Place(world.bucket, "out/").read(key) or b"")["rows"] for key in world.names() if key.endswith("manifest.json")]
    assert [3, 6] == sorted(rows)


def test_overwritten_in_the_middle(world: World) -> None:
    """A file that is overwritten while it is read is begun again as it is now: of two writes at a time S3 may tell once."""
    tries = []

    def predict(source: Source, *rest: Any) -> Manifest:
        tries.append(source.version)
        if len(tries) == 1:
            world.put("inbox/a.csv", FLOWERS[:16])
        return world.predict(source, *rest)

    assert {"done": 1} == answered(world.inbox(predict), world.put("inbox/a.csv"))
    assert 2 == len(set(tries))
    assert 1 == world.manifest()["rows"]
    assert 2 == len(world.names())


def test_overwritten_again_and_again(world: World) -> None:
    """A file that never keeps still fails for now, and leaves nothing."""

    def predict(source: Source, *rest: Any) -> Manifest:
        world.put("inbox/a.csv", secrets.token_bytes(20))
        return world.predict(source, *rest)

    with pytest.raises(StoreUnavailable, match="overwritten"):
        answered(world.inbox(predict), world.put("inbox/a.csv"))
    assert [] == world.names()


@pytest.mark.parametrize("operation", ["HEAD", "GET", "PUT"])
@pytest.mark.parametrize(
    "fault", [s3_refusal(503, "SlowDown"), aws_faults.dropped, s3_refusal(500, "InternalError")], ids=["slow down", "dropped", "internal"]
)
def test_throttled(world: World, operation: str, fault: Any) -> None:
    """A throttled or failing S3 is asked again, and the file is predicted (F-44)."""
    event = world.put("inbox/a.csv")
    world.aws.server.fail(operation, fault, fault)

    assert {"done": 1} == answered(world.inbox(), event)
    assert 3 == world.manifest()["rows"]


@pytest.mark.parametrize("operation", ["HEAD", "GET", "PUT"])
def test_forbidden(world: World, operation: str, caplog: pytest.LogCaptureFixture) -> None:
    """Without a right the event fails, so that it comes again when the right is there, and nothing is half written (F-44)."""
    event = world.put("inbox/a.csv")
    world.aws.server.fail(operation, *[s3_refusal(403, "AccessDenied")] * 40)
    with pytest.raises(StoreUnavailable):
        answered(world.inbox(), event)
    world.aws.server.faults.clear()

    assert [] == world.names()
    assert world.bucket not in caplog.text
    assert "failed" == world.logged()[-1]["outcome"]
    assert {"done": 1} == answered(world.inbox(), event)


def test_a_failure_of_ours(world: World) -> None:
    """What nobody foresaw is raised without its text, and logged with its trace."""

    def predict(*rest: Any) -> Manifest:
        raise ZeroDivisionError("secret")

    with pytest.raises(InternalError) as raised:
        answered(world.inbox(predict), world.put("inbox/a.csv"))
    assert "secret" not in raised.value.detail
    assert "ZeroDivisionError" in world.log.getvalue()


def test_one_of_several_fails(world: World) -> None:
    """Of several objects in one event each is tried, and the event fails where one has."""

    def predict(source: Source, *rest: Any) -> Manifest:
        if source.name.endswith("b.csv"):
            raise ModelNotReady("not yet")
        return world.predict(source, *rest)

    events = [world.put(f"inbox/{name}.csv", FLOWERS + name.encode() * 0) for name in "abc"]
    event = {"Records": [one["Records"][0] for one in events]}
    with pytest.raises(ModelNotReady):
        answered(world.inbox(predict), event)

    assert {"a", "c"} == {key[0] for key in world.names()}
    assert {"done": 3} == answered(world.inbox(), event)


def runs_out(source: Source, *rest: Any) -> Manifest:
    """A prediction that never ends in time."""
    raise DeadlineExceeded("The time for the prediction was up.")


def not_asked(*rest: Any) -> Manifest:
    """A prediction that must not begin."""
    pytest.fail("begun")


class Machine:
    """Takes what is handed over."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []

    def __call__(self, asked: Asked) -> None:
        self.asked.append(asked)


@pytest.mark.parametrize("folder", ["f" * 1000, "é" * 500, "f" * 965], ids=["letters", "two bytes each", "the manifest alone would fit"])
def test_a_key_that_leaves_no_room_for_its_results(world: World, folder: str) -> None:
    """Where the predictions' key would be longer than S3's 1,024 bytes, that is the refusal, each file's in a place of its own."""
    for name in ("a.csv", "b.csv"):
        event = world.put(f"inbox/{folder}/{name}")
        assert {"refused": 1} == answered(world.inbox(output_prefix="predictions/of/the/stack"), event)
    listed = call("s3", "list_objects_v2", Bucket=world.bucket, Prefix="predictions/")["Contents"]

    assert 2 == len(listed)
    assert all(len(found["Key"].encode()) <= 1024 and found["Key"].endswith("/error.json") for found in listed)
    told = json.loads(call("s3", "get_object", Bucket=world.bucket, Key=listed[0]["Key"])["Body"].read())
    assert "at most 1,024" in told["detail"]


def test_a_key_that_leaves_no_room_for_a_run(world: World) -> None:
    """A file whose results would have too long keys is not handed over either."""
    event = world.put(f"inbox/{'f' * 960}/a.csv")

    assert {"refused": 1} == answered(world.inbox(not_asked, bytes_per_s=1, start_batch=run_of), event)
    assert "at most 1,024" in json.loads(world.read("error.json"))["detail"]


def test_too_large_for_one_invocation(world: World) -> None:
    """A file that would take longer than an invocation has goes to the batch machine before it is begun; twice, it is the same run."""
    machine = Machine()
    event = world.put("inbox/iris/2026/a.csv")
    inbox = world.inbox(not_asked, bytes_per_s=1, start_batch=machine)

    assert [{"handed over": 1}] * 2 == [answered(inbox, event) for _ in range(2)]
    first, second = machine.asked
    loaded = world.program.repository.get("iris")
    assert (f"s3://{world.bucket}/inbox/iris/2026/a.csv", f"s3://{world.bucket}/out/iris/2026/") == (first.input, first.output)
    assert ("iris", "2", loaded.digest) == (first.model, first.version, first.digest)
    assert "" != first.input_version
    assert run_of(first) == run_of(second)


def test_the_time_is_up_in_the_middle(world: World) -> None:
    """A file that had a whole invocation and was not done goes to the batch machine."""
    machine = Machine()

    assert {"handed over": 1} == answered(world.inbox(runs_out, start_batch=machine), world.put("inbox/a.csv"))
    assert 1 == len(machine.asked)


@pytest.mark.parametrize("key", ["inbox/a.csv", "inbox/a.npy"], ids=["no machine", "nothing that the machine can cut"])
def test_too_large_without_a_machine(world: World, key: str) -> None:
    """Without a machine for it, a large file is tried all the same, as the rate is a guess, and the error says what is missing."""
    event = world.put(key)
    machine = Machine() if key.endswith("npy") else None

    assert {"done": 1} == answered(world.inbox(bytes_per_s=1, start_batch=machine), world.put("inbox/b.csv")) or machine
    with pytest.raises(DeadlineExceeded, match="BATCH_STATE_MACHINE_ARN") as raised:
        answered(world.inbox(runs_out, bytes_per_s=1, start_batch=machine), event)
    assert raised.value.retryable
    assert "error.json" not in "".join(world.names())


def test_what_is_left_of_an_invocation(world: World) -> None:
    """A file that a whole invocation can do, but not what others have left of this one, comes again and is neither begun nor handed over."""
    world.put("inbox/a.csv")
    machine = Machine()
    inbox = world.inbox(bytes_per_s=10, start_batch=machine)
    found = S3Object(world.bucket, "inbox/a.csv")
    inbox.answer_object(S3Object(world.bucket, "inbox/none.csv"), times(60))
    assert "done" == inbox.answer_object(found, times(60))

    later = world.inbox(not_asked, bytes_per_s=10, start_batch=machine)
    later._longest_s = 60.0
    with pytest.raises(DeadlineExceeded, match="comes again"):
        later.answer_object(found, times(3))
    cut_short = world.inbox(runs_out, start_batch=machine)
    cut_short._longest_s = 60.0
    with pytest.raises(DeadlineExceeded, match="was up"):
        cut_short.answer_object(found, times(20))
    assert [] == machine.asked


def test_a_machine_that_does_not_answer(world: World) -> None:
    """Where the batch machine cannot be started the event fails, and comes again."""

    def start(asked: Asked) -> None:
        raise StoreUnavailable("Step Functions did not answer StartExecution.")

    with pytest.raises(StoreUnavailable):
        answered(world.inbox(not_asked, bytes_per_s=1, start_batch=start), world.put("inbox/a.csv"))


def test_a_slow_store_ends_by_the_deadline(world: World) -> None:
    """With S3 so slow that the time is up while a file is read, the file is handed over as any other whose time was up."""
    event, machine = world.put("inbox/a.csv", FLOWERS * 100), Machine()

    def slow_body(source: Source, *rest: Any) -> Manifest:
        world.aws.server.fail("GET", lambda moto, environ, start: moto(environ, start), *[aws_faults.byte_by_byte] * 9)
        return world.predict(source, *rest)

    assert {"handed over": 1} == answered(world.inbox(slow_body, start_batch=machine), event, Context(4_000))


def test_events_of_the_server(world: World) -> None:
    """The notification that S3 sends to a queue when an object is put leads to its prediction, whatever its key is."""
    key = "inbox/ü 50%+&=x.csv"
    queue = world.aws.names.jobs.messages
    arn = call("sqs", "get_queue_attributes", QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}]}
    call("s3", "put_bucket_notification_configuration", Bucket=world.bucket, NotificationConfiguration=told)
    world.put(key)
    call("s3", "put_object", Bucket=world.bucket, Key="elsewhere", Body=b"")
    call("s3", "delete_object", Bucket=world.bucket, Key="elsewhere")
    bodies = []
    while messages := call("sqs", "receive_message", QueueUrl=queue, MaxNumberOfMessages=10).get("Messages"):
        bodies += [json.loads(message["Body"]) for message in messages]
    answers: list[dict[str, int]] = [answered(world.inbox(), body) for body in bodies]

    assert 1 == sum(answer.get("done", 0) for answer in answers)
    assert 3 == world.manifest()["rows"]
    assert f"s3://{world.bucket}/{key}" == world.manifest()["source"]["name"]
    # The test event of the configuration, and an object that was put and is gone.
    assert len(bodies) >= 3


def test_problems_alone_are_raised(world: World) -> None:
    """Whoever answers an object hears of problems and of nothing else."""
    raising: list[Callable[[], Exception]] = [lambda: ModelNotReady("a"), lambda: OSError("b"), lambda: DeadlineExceeded("c")]
    for make in raising:

        def predict(*rest: Any, make: Callable[[], Exception] = make) -> Manifest:
            raise make()

        world.put("inbox/a.csv")
        with pytest.raises(Problem) as raised:
            world.inbox(predict).answer_object(S3Object(world.bucket, "inbox/a.csv"), times(60))
        assert raised.value.retryable


def test_the_key_of_the_samples() -> None:
    """The samples' key has what needs decoding."""
    assert KEY != quote_plus(KEY, safe="/")
