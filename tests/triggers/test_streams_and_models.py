"""Topics, streams and buses in front of the real engine and the project's models."""

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest

from app.errors import Problem
from app.observability import Observer
from app.results import Result
from app.triggers.deliveries import Deliveries
from app.triggers.dynamodb import DynamoDbTrigger
from app.triggers.eventbridge import EventBridgeTrigger
from app.triggers.kafka import KafkaTrigger
from app.triggers.kinesis import KinesisTrigger
from app.triggers.outcomes import Outcomes
from app.triggers.record_batches import RecordsFailed
from app.triggers.requests import Reference
from app.triggers.sns import SnsTrigger
from app.wiring import wire
from tests import lambda_samples
from tests.lambda_samples_streams import EXPECTED_OF_STREAMS
from tests.shells import Context, copy_models
from tests.triggers.stream_events import STREAMS, base64_of, bus_event, dynamodb_record, kafka_event, kinesis_event, named, sns_event

TRIGGERS = {
    "dynamodb-stream": DynamoDbTrigger,
    "eventbridge-prediction-requested": EventBridgeTrigger,
    "kafka": KafkaTrigger,
    "kinesis": KinesisTrigger,
    "msk": KafkaTrigger,
    "sns": SnsTrigger,
}
FLOWERS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
SPECIES = [0, 1, 2]
# Bytes that are no request of the model's, each in its own way.
POISON = [b"", b"\xff\xfe", b"{", b"[]", b'{"inputs": {"X": [[1, 2]]}}', b'{"inputs": {"X": [["a", 1, 2, 3]]}}', b'{"inputs": {}}', b"null"]
POISON += [b'{"model": "nobody", "inputs": {"X": [[1, 2, 3, 4]]}}', b'{"model": 5, "inputs": {"X": [[1, 2, 3, 4]]}}']


def labels_of(result: Result) -> list[int]:
    """The species that an answer tells, in either of its forms."""
    answer = json.loads(result.body)
    return answer["outputs"]["output_label"] if "outputs" in answer else [row["output_label"] for row in answer["predictions"]]


class Place:
    """Where results go: keeps them in the order in which they came."""

    def __init__(self) -> None:
        self.results: list[Result] = []

    def put(self, results: Sequence[Result]) -> list[Problem | None]:
        self.results += results
        return [None] * len(results)

    def labels(self) -> dict[str, list[int]]:
        """The species that the records were told, by their ids."""
        return {one.id: labels_of(one) for one in self.results if one.problem is None}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The project's own models."""
    return wire({"MODEL_DIR": str(copy_models(tmp_path_factory.mktemp("streams") / "models")), "JOBS": "off"})


@pytest.fixture
def place() -> Place:
    return Place()


def engine_of(program: Any, place: Place, observer: Observer) -> Deliveries:
    """The real engine, whose results are kept in a place."""

    def fetch(reference: Reference, deadline: float) -> bytes:
        assert "s3://flowers/setosa.csv" == reference.uri
        return b"5.1,3.5,1.4,0.2\n"

    outcomes = Outcomes(lambda target: place, results_to="s3://results/")
    return Deliveries(program.predictor, observer, outcomes, fetch, lambda deadline: None)


@pytest.fixture
def invoke(program: Any, place: Place) -> Any:
    """Calls a trigger with the real engine behind it."""
    engine = engine_of(program, place, program.observer)
    return lambda trigger, event: trigger(engine.answer)(event, Context())


def request(species: int) -> bytes:
    return json.dumps({"inputs": {"X": [FLOWERS[species]]}}).encode()


def item(species: int) -> dict[str, Any]:
    row = {"L": [{"N": str(number)} for number in FLOWERS[species]]}
    return {"request": {"M": {"inputs": {"M": {"X": {"L": [row]}}}}}}


@pytest.mark.parametrize("name", EXPECTED_OF_STREAMS)
def test_sample(invoke: Any, place: Place, name: str) -> None:
    """The sample is answered by the project's models, and every result is there."""
    EXPECTED_OF_STREAMS[name](invoke(TRIGGERS[name], lambda_samples.event(name)))

    assert {"msk": 2, "kinesis": 2}.get(name, 1) == len(place.results)
    assert {"iris"} == {result.model for result in place.results}
    assert [[0], [2]][: len(place.results)] == list(place.labels().values())


@pytest.mark.parametrize("k", range(11))
@pytest.mark.parametrize("name", ["kinesis", "kafka"])
def test_k_of_ten_are_poison(invoke: Any, place: Place, name: str, k: int) -> None:
    """Of ten records the k that are no request come again, and each of the others has its own answer."""
    source = STREAMS[name]
    answer = invoke(source.trigger, source.event(POISON[:k] + [request(at % 3) for at in range(k, 10)]))

    assert sorted(str(source.identifier(at)) for at in range(k)) == sorted(map(str, named(answer)))
    assert {source.record_id(at): [at % 3] for at in range(k, 10)} == place.labels()


def test_items_become_requests(invoke: Any, place: Place) -> None:
    """Numbers of a table reach the model as they are."""
    records = [dynamodb_record(species, item(species)) for species in SPECIES]

    assert [] == named(invoke(DynamoDbTrigger, {"Records": records}))
    assert {f"e{species}": [species] for species in SPECIES} == place.labels()


def test_bytes_of_a_table(invoke: Any, place: Place) -> None:
    """Bytes of a table reach the model's codec as bytes, which says what else it wants."""
    image = {"request": {"M": {"inputs": {"M": {"X": {"B": base64_of(b"no numbers")}}}}}}

    assert ["4421584500000000017450439000"] == named(invoke(DynamoDbTrigger, {"Records": [dynamodb_record(0, image)]}))
    assert place.results[0].problem is not None


@pytest.mark.parametrize("name", ["kinesis", "kafka"])
def test_delivered_twice_results_have_one_id(invoke: Any, place: Place, name: str) -> None:
    """What is delivered a second time has the same answer under the same id."""
    source = STREAMS[name]
    for _ in range(2):
        assert [] == named(invoke(source.trigger, source.event([request(species) for species in SPECIES])))

    assert 6 == len(place.results)
    assert sorted(result[:3] for result in place.results[:3]) == sorted(result[:3] for result in place.results[3:])


def test_headers_say_what_the_value_is(invoke: Any, place: Place) -> None:
    """A value in another format than JSON is read by its header content-type."""
    event = kafka_event([b"6.3,3.3,6.0,2.5\n"])
    event["records"]["a-topic-0"][0]["headers"] = [{"Content-Type": list(b"text/csv")}, {"correlation-id": list(b"flower-7")}]

    assert [] == named(invoke(KafkaTrigger, event))
    assert [("flower-7", [2])] == [(result.correlation_id, labels_of(result)) for result in place.results]


def test_a_message_of_a_topic(invoke: Any, place: Place) -> None:
    """A message that failed is raised, and what was wrong is told where results go."""
    with pytest.raises(RecordsFailed, match="1 of 2 records failed, the first as wrong-shape"):
        invoke(SnsTrigger, sns_event(request(1).decode(), '{"inputs": {"X": [[1]]}}'))

    assert {"m0": [1]} == place.labels()
    assert ["wrong-shape"] == [result.problem.code for result in place.results if result.problem is not None]


def test_events_of_a_bus(invoke: Any, place: Place) -> None:
    """A request, a reference and a CloudEvent are answered, by JSON and by bytes."""
    cloud = {"specversion": "1.0", "id": "c1", "source": "/greenhouse", "type": "com.example.flower", "model": "iris"}
    text = {"data": "7.0,3.2,4.7,1.4\n", "datacontenttype": "text/csv"}
    for detail in (
        json.loads(request(0)),
        {"s3": "s3://flowers/setosa.csv", "model": "iris"},
        cloud | {"data": json.loads(request(2)), "datacontenttype": "application/json"},
        cloud | text,
        cloud | {"data_base64": base64_of(text["data"].encode()), "datacontenttype": "text/csv"},
    ):
        assert {"answered": 1} == invoke(EventBridgeTrigger, bus_event(detail))

    assert [[0], [0], [2], [1], [1]] == [labels_of(result) for result in place.results]
    assert ["", "", "c1", "c1", "c1"] == [result.correlation_id for result in place.results]


def test_nothing_is_written_of_what_was_sent(program: Any, place: Place) -> None:
    """A record in which there is no request is told in the log and where results go, with its id and why, and without its content."""
    written = io.StringIO()
    observer = Observer(service="streams", level="INFO", namespace=None, log_values=False, stream=written)
    engine = engine_of(program, place, observer)
    image = {"request": {"M": {"inputs": {"M": {"X": {"L": [{"N": "98765432109876543210"}]}}}}}}
    DynamoDbTrigger(engine.answer)({"Records": [dynamodb_record(0, image)]}, Context())
    KinesisTrigger(engine.answer)(kinesis_event([b"\xf3\x89\x9a\xc2 secret"]), Context())
    with pytest.raises(RecordsFailed, match="first as invalid-request"):
        EventBridgeTrigger(engine.answer)(bus_event({"specversion": "secret"}), Context())
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    told = [json.loads(result.body) for result in place.results]

    assert [("dynamodb", "e0"), ("kinesis", STREAMS["kinesis"].record_id(0)), ("eventbridge", "e1")] == [
        (line["trigger"], line["record"]) for line in lines
    ]
    assert ["out-of-range", "unreadable-request", "invalid-request"] == [line["code"] for line in lines]
    assert [line["code"] for line in lines] == [error["code"] for error in told]
    assert "/request/inputs/X/0" == told[0]["pointer"]
    for text in (written.getvalue(), str(told)):
        assert "98765" not in text
        assert "secret" not in text
