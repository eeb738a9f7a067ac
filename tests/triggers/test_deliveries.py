"""Records answered together: what is packed, what fails alone, where results go, and when a record is done."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from app.errors import DeadlineExceeded, Invalid, Problem, ResultTooLarge, StoreUnavailable, UnknownModel
from app.triggers.records import Record, Times
from tests.triggers.engine import Engine, Runs, models_in

FLOWERS = [[5.1, 3.5, 1.4, 0.2], [7.0, 3.2, 4.7, 1.4], [6.3, 3.3, 6.0, 2.5]]
SPECIES = [0, 1, 2]
POISON = "not a request"


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models_in(tmp_path_factory.mktemp("engine") / "models")


@pytest.fixture
def engine(models: Path) -> Engine:
    return Engine(models)


def record(number: int, body: Any = None, group: str = "", **attributes: str) -> Record:
    """Record number n is called r<n>, and asks for flower n of three."""
    document = {"inputs": [FLOWERS[number % 3]]} if body is None else body
    named = {name.replace("_", "-"): value for name, value in attributes.items()}
    return Record(f"r{number}", "sqs", document if isinstance(document, str) else json.dumps(document), named, group)


def species(body: dict[str, Any]) -> Any:
    return body["outputs"]["output_label"]


def codes(problems: list[Problem | None]) -> list[str]:
    return [problem.code if problem else "" for problem in problems]


def test_every_record_gets_its_own_answer(engine: Engine) -> None:
    """However many come together, each result is that of its own record."""
    outcomes = engine.answer(*(record(number) for number in range(100)))

    assert [None] * 100 == outcomes
    assert {f"r{number}": [SPECIES[number % 3]] for number in range(100)} == {name: species(body) for name, body in engine.bodies().items()}


def test_answers_are_those_of_a_request_alone(engine: Engine) -> None:
    """A result has the bytes that the same body is answered with over HTTP, but for the last bit of a float."""
    from app.prediction import PredictionRequest

    records = [record(number) for number in range(20)]
    engine.answer(*records)

    for asked, result in zip(records, engine.place.results, strict=True):
        expected = json.loads(engine.predictor.answer(PredictionRequest(asked.body.encode())).body)
        found = json.loads(result.body)
        assert pytest.approx(expected.pop("outputs")["output_probability"][0]) == found["outputs"].pop("output_probability")[0]
        assert (expected["model"], "application/json") == (found["model"], result.content_type)


def test_a_delivery_is_one_run(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once a model's rows are known to be independent, a hundred records are one run, also on the first delivery."""
    runs, engine = Runs(monkeypatch), Engine(models)
    engine.answer(*(record(number) for number in range(100)))
    first = runs.taken()
    engine.answer(*(record(number) for number in range(100)))

    assert [100] == runs.taken()
    assert 100 == first[-1]
    assert len(first) < 10


@pytest.mark.parametrize("bad", range(11))
def test_k_of_ten_fail(engine: Engine, bad: int) -> None:
    """Exactly those records fail that are wrong, none and all of them too, and every other has its result (F-38)."""
    wrong = set(range(bad))
    outcomes = engine.answer(*(record(number, POISON if number in wrong else None) for number in range(10)))

    assert wrong == {place for place, problem in enumerate(outcomes) if problem is not None}
    answered = {name: body for name, body in engine.bodies().items() if "outputs" in body}
    assert {f"r{number}": [SPECIES[number % 3]] for number in range(10) if number not in wrong} == {
        name: species(body) for name, body in answered.items()
    }


@pytest.mark.parametrize("poison", [0, 1, 31, 32, 63])
def test_a_failed_run_is_halved_to_the_record_that_fails_it(models: Path, monkeypatch: pytest.MonkeyPatch, poison: int) -> None:
    """One record whose values fail the run fails alone, after as many runs as halving takes, not one for each record."""
    runs, engine = Runs(monkeypatch), Engine(models)
    engine.answer(*(record(number, {"model": "brittle", "inputs": [1.0]}) for number in range(8)))
    runs.taken()
    values = [float(number % 10) if number != poison else 10.0 for number in range(64)]
    outcomes = engine.answer(*(record(number, {"model": "brittle", "inputs": [value]}) for number, value in enumerate(values)))

    assert [poison] == [place for place, problem in enumerate(outcomes) if problem is not None]
    assert 64 > sum(1 for _ in runs.taken())
    kept = [json.loads(result.body) for result in engine.place.results[8:] if result.problem is None]
    assert [[value] for value in values if value != 10.0] == [body["outputs"]["y"] for body in kept]


def test_groups_of_model_and_shape(engine: Engine) -> None:
    """Models, shapes, forms and dialects may come mixed; each record is answered by its own."""
    tensor = {"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP32", "data": [1.5, 2.5, 3.5, 4.5]}]}
    outcomes = engine.answer(
        record(0),
        record(1, {"instances": FLOWERS}),
        record(2, {"model": "identity", "inputs": [[1.5, 2.5, 3.5, 4.5]]}),
        record(3, tensor, model="identity", dialect="open_inference"),
        record(4, {"instances": [[1.0, 2.0, 3.0, 4.0]]}, model="identity", dialect="tensorflow_serving"),
        record(5, "5.1,3.5,1.4,0.2\n7.0,3.2,4.7,1.4\n", content_type="text/csv"),
        record(6, model="identity"),
    )
    bodies = engine.bodies()

    assert [None] * 7 == outcomes
    assert [0] == species(bodies["r0"])
    assert SPECIES == [row["output_label"] for row in bodies["r1"]["predictions"]]
    assert [[1.5, 2.5, 3.5, 4.5]] == bodies["r2"]["outputs"]["y"]
    assert ("r3", [1.5, 2.5, 3.5, 4.5]) == (bodies["r3"]["id"], bodies["r3"]["outputs"][0]["data"])
    assert [[1.0, 2.0, 3.0, 4.0]] == bodies["r4"]["predictions"]
    assert [0, 1] == [row["output_label"] for row in bodies["r5"]["predictions"]]
    assert "identity" == bodies["r6"]["model"]["name"]


def test_rows_that_are_more_than_plain(engine: Engine) -> None:
    """A record beside plain ones that holds more than plain numbers is read strictly: refused for what it is, or answered."""
    twice = '{"inputs":[[5.1,3.5,1.4,0.2]],"inputs":[[7.0,3.2,4.7,1.4]]}'
    texts = [twice, '{"inputs":[["5.1",3.5,1.4,0.2]]}', '{"inputs":[[true,3.5,1.4,0.2]]}', '{"inputs":[[null,3.5,1.4,0.2]]}']
    texts += ['{"inputs":[[1e39,3.5,1.4,0.2]]}', '{"inputs":[[5.1,3.5,1.4]]}', '{"inputs":[]}', '{"inputs":[[1e5,3.5,1.4,0.2]]}']
    outcomes = engine.answer(*(record(number) for number in range(10)), *(record(10 + n, text) for n, text in enumerate(texts)))

    expected = [
        *[""] * 10,
        "invalid-request",
        "wrong-datatype",
        "wrong-datatype",
        "wrong-datatype",
        "out-of-range",
        "wrong-shape",
        "wrong-shape",
        "",
    ]
    assert expected == codes(outcomes)


def test_what_is_wrong_is_told_and_fails(engine: Engine) -> None:
    """A record that can never be answered is told as an error under its own id, and fails, so that it ends among the dead letters."""
    (outcome,) = engine.answer(record(0, {"model": "nobody", "inputs": [[1.0]]}))
    (result,) = engine.place.results
    told = json.loads(result.body)

    assert isinstance(outcome, UnknownModel)
    assert (outcome, "r0", "application/json") == (result.problem, result.id, result.content_type)
    assert ("unknown-model", 404, False, "r0") == (told["code"], told["status"], told["retryable"], told["request_id"])


def test_what_may_pass_is_not_told(engine: Engine) -> None:
    """A record that only ran out of time fails and comes again: nobody is told of it."""
    outcomes = engine.answer(record(0), record(1, {"model": "slow", "inputs": {"times": 3}}), seconds=-1)

    assert [DeadlineExceeded, DeadlineExceeded] == [type(problem) for problem in outcomes]
    assert [] == engine.place.results


def test_a_deadline_in_the_middle(engine: Engine) -> None:
    """What was answered before the time was up is done; the rest fails and comes again (F-40)."""
    engine.answer(record(0))
    outcomes = engine.answer(*(record(number) for number in range(5)), record(5, {"model": "slow", "inputs": 10**9}), seconds=1.0)

    assert [""] * 5 + ["deadline-exceeded"] == codes(outcomes)
    assert {f"r{number}" for number in range(5)} == set(engine.bodies())


def test_a_record_is_done_when_its_result_is_kept(engine: Engine) -> None:
    """A result that its place did not take fails its record, and no other."""
    engine.place.refuses = {"r1": StoreUnavailable("not now")}

    assert ["", "store-unavailable", ""] == codes(engine.answer(record(0), record(1), record(2)))
    assert {"r0", "r2"} == set(engine.bodies())


def test_results_go_nowhere(models: Path) -> None:
    """Without a place for results a record is done when it was answered, and what it has failed with is logged."""
    engine = Engine(models, told=False)
    outcomes = engine.answer(*(record(number) for number in range(9)), record(9, POISON))

    assert [""] * 9 + ["unreadable-json"] == codes(outcomes)
    assert [(9, None), (None, "unreadable-json")] == [(line.get("records"), line.get("code")) for line in engine.log()]


@pytest.mark.parametrize("told", [True, False], ids=["told", "counted"])
def test_bodies_alike_are_answered_at_once(models: Path, monkeypatch: pytest.MonkeyPatch, told: bool) -> None:
    """Bodies that differ in their numbers alone are done in one run; any other among them, and nothing is done."""
    runs, engine = Runs(monkeypatch), Engine(models, told=told)
    times = Times(time.monotonic() + 60, time.monotonic() + 65)
    bodies = [json.dumps({"inputs": [FLOWERS[number % 3]]}) for number in range(50)]
    ids = [f"r{number}" for number in range(50)]

    assert [None] * 50 == engine.deliveries.answer_alike(ids, bodies, "sqs", times)
    assert 50 == runs.taken()[-1]
    assert ({name: [SPECIES[number % 3]] for number, name in enumerate(ids)} if told else {}) == {
        name: species(body) for name, body in engine.bodies().items()
    }
    assert engine.deliveries.answer_alike([*ids, "r"], [*bodies, POISON], "sqs", times) is None


def test_the_result_of_one_alike_is_not_kept(engine: Engine) -> None:
    """Of records that were answered at once, those fail whose results were not kept."""
    engine.place.refuses = {"r3": StoreUnavailable("not now")}
    bodies = [json.dumps({"inputs": [FLOWERS[0]]})] * 10
    times = Times(time.monotonic() + 60, time.monotonic() + 65)
    outcomes = engine.deliveries.answer_alike([f"r{number}" for number in range(10)], bodies, "sqs", times)

    assert outcomes is not None
    assert [3] == [place for place, problem in enumerate(outcomes) if problem is not None]


def test_a_record_names_where_its_answer_goes(models: Path) -> None:
    """A record may name one of the places that are allowed; another is refused before anything is run, and told at the usual place."""
    engine = Engine(models, reply_to=["https://queue/a"])
    outcomes = engine.answer(record(0, reply_to="https://queue/a"), record(1, reply_to="https://queue/b"), record(2))

    assert ["", "invalid-request", ""] == codes(outcomes)
    assert ["r0"] == [result.id for result in engine.replies.results]
    assert {"r1", "r2"} == set(engine.bodies())
    assert isinstance(outcomes[1], Invalid)
    assert "REPLY_QUEUE_URLS" in outcomes[1].detail


def test_the_sender_knows_its_answer(engine: Engine) -> None:
    """The attribute correlation-id, or the body's id, comes back with the result."""
    plain = {"inputs": [FLOWERS[0]], "id": "body"}
    engine.answer(record(0, correlation_id="mine"), record(1, plain), record(2, plain, correlation_id="mine"))
    results = engine.place.results

    assert ["mine", "body", "mine"] == [result.correlation_id for result in results]
    assert [None, "body", "body"] == [json.loads(result.body).get("id") for result in results]


def test_an_object_is_the_body(engine: Engine) -> None:
    """A record may refer to an object in S3, whose format its key or the record tells."""
    engine.objects["s3://in/a.csv"] = b"5.1,3.5,1.4,0.2\n"
    engine.objects["s3://in/a"] = b"7.0,3.2,4.7,1.4\n"
    outcomes = engine.answer(
        record(0, {"s3": "s3://in/a.csv", "id": "a"}),
        record(1, {"s3": "s3://in/a", "content_type": "text/csv", "model": "iris", "accept": "text/csv"}),
        record(2, {"s3": "s3://in/a.csv", "other": 1}),
        record(3, {"s3": "nowhere"}),
    )

    assert ["", "", "invalid-request", "invalid-request"] == codes(outcomes)
    first, second = (next(result for result in engine.place.results if result.id == name) for name in ("r0", "r1"))
    assert (0, "a") == (json.loads(first.body)["predictions"][0]["output_label"], first.correlation_id)
    assert second.body.startswith(b"output_label,")
    assert second.content_type.startswith("text/csv")


def test_answers_of_objects_do_not_wait_for_each_other(engine: Engine) -> None:
    """What an object holds is answered and kept before the next one is read, as both may be large; what needs no object before all."""
    kept: list[int] = []

    class Objects(dict[str, bytes]):
        def __getitem__(self, key: str) -> bytes:
            kept.append(len(engine.place.results))
            return super().__getitem__(key)

    engine.objects = Objects({"s3://in/a.csv": b"5.1,3.5,1.4,0.2\n", "s3://in/b.csv": b"x\n"})
    engine.place.refuses = {"r2": StoreUnavailable("not now")}
    outcomes = engine.answer(*(record(number, {"s3": f"s3://in/{name}.csv"}) for number, name in enumerate("aaab")), record(4))

    assert ["", "", "store-unavailable", "unknown-input", ""] == codes(outcomes)
    assert [1, 2, 3, 3] == kept
    assert ["r4", "r0", "r1", "r3"] == [result.id for result in engine.place.results]


def test_what_nobody_foresaw_fails_alone(engine: Engine) -> None:
    """A record on whose way something breaks comes again and is logged; its neighbours are done."""
    outcomes = engine.answer(record(0), record(1, {"s3": "s3://in/breaks the engine's store"}), record(2))

    assert ["", "internal-error", ""] == codes(outcomes)
    assert {"r0", "r2"} == set(engine.bodies())
    assert "KeyError" in engine.lines.getvalue()


@pytest.mark.parametrize("odd", [{"model": ["iris"]}, {"version": {"1": 1}}, {"id": ["flower"]}])
def test_a_route_that_is_no_text_fails_alone(engine: Engine, odd: dict[str, Any]) -> None:
    """A record whose model, version or id is a list or an object is refused for that, and its neighbours are done."""
    outcomes = engine.answer(*(record(number) for number in range(9)), record(9, {"inputs": [FLOWERS[0]], **odd}))

    assert [""] * 9 + ["invalid-request"] == codes(outcomes)


def test_a_group_stops_at_its_first_failure(engine: Engine) -> None:
    """In a FIFO group nothing is answered after a record that failed; other groups go on."""
    asked = [record(0, group="a"), record(1, POISON, group="a"), record(2, group="b"), record(3, group="a"), record(4, group="b")]
    outcomes = engine.answer(*asked)

    assert ["", "unreadable-json", "", "store-unavailable", ""] == codes(outcomes)
    assert ["r0", "r1", "r2", "r4"] == [result.id for result in engine.place.results]


def test_a_group_stops_where_a_result_is_not_kept(engine: Engine) -> None:
    """A record whose result was not kept comes again, and so do all of its group after it."""
    engine.place.refuses = {"r0": StoreUnavailable("not now")}

    assert ["store-unavailable", "", "store-unavailable"] == codes(
        engine.answer(record(0, group="a"), record(1, group="b"), record(2, group="a"))
    )


def test_each_source_is_told_from_another(engine: Engine) -> None:
    """A failure of ours is logged with the record's id and never with its body."""
    engine.answer(record(0, '{"inputs":[["secret-value",3.5,1.4,0.2]]}'))

    (line,) = engine.log()
    assert ("sqs", "r0", "wrong-datatype") == (line["trigger"], line["record"], line["code"])
    assert "secret-value" not in engine.lines.getvalue()


def test_calls_to_aws_end_with_the_invocation(engine: Engine) -> None:
    """What is kept of answers may take until the invocation's own end, a little after the last run."""
    now = time.monotonic()
    engine.answer(record(0), seconds=60)

    assert now + 64 < engine.deadlines[0] < now + 70


def test_a_result_too_large_for_its_place(engine: Engine) -> None:
    """A result that its place will never take fails its record, and whoever waits for it is told so instead."""
    too_large = ResultTooLarge("The result has 2 MB.")
    engine.place.refuses = {"r1": too_large}
    engine.place.takes_errors = True
    outcomes = engine.answer(record(0), record(1))

    assert ["", "result-too-large"] == codes(outcomes)
    assert {"r0", "r1"} == set(engine.bodies())
    assert ("result-too-large", False) == (engine.bodies()["r1"]["code"], engine.bodies()["r1"]["retryable"])
