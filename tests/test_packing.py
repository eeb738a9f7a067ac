"""Several requests in one run: as if each had been alone, to the last bit; and only where that is so."""

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from app.errors import Problem
from app.inference.session import Session
from app.prediction import PredictionRequest, PredictionResponse, Predictor
from app.report import Report
from app.settings import Settings
from app.wiring import open_repository
from tests import graphs

# Whatever is tried of a pack's shape is tried when it has come twice.
TWICE = 2


def reduced(op: str) -> bytes:
    """Each row less what an operator makes of all rows."""
    nodes = [graphs.node(op, ["x", "axes"], ["of_all"], keepdims=1), graphs.node("Sub", ["x", "of_all"], ["y"])]
    return graphs.model(nodes, [graphs.tensor("x", T.FLOAT, ["n", 3])], [graphs.tensor("y", T.FLOAT, ["n", 3])], axes=np.array([0]))


def along_rows(op: str, **attributes: Any) -> bytes:
    return one_input([graphs.node(op, ["x"], ["y"], axis=0, **attributes)])


def one_input(nodes: list[Any], **constants: np.ndarray) -> bytes:
    return graphs.model(nodes, [graphs.tensor("x", T.FLOAT, ["n", 3])], [graphs.tensor("y", T.FLOAT, ["n", 3])], **constants)


def matrix() -> bytes:
    """A dense layer: rounded by the way in which its product is taken."""
    weights = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)
    return one_input([graphs.node("MatMul", ["x", "w"], ["h"]), graphs.node("Tanh", ["h"], ["y"])], w=weights)


def quantised() -> bytes:
    """Values rounded to steps of a scale that is taken from all of them, as dynamic quantisation does."""
    nodes = [
        graphs.node("DynamicQuantizeLinear", ["x"], ["small", "scale", "zero"]),
        graphs.node("DequantizeLinear", ["small", "scale", "zero"], ["y"]),
    ]
    return one_input(nodes)


def only_a_class() -> bytes:
    """The place of the largest value after a sum over all rows."""
    nodes = [graphs.node("CumSum", ["x", "axis"], ["sums"]), graphs.node("ArgMax", ["sums"], ["y"], axis=1, keepdims=0)]
    return graphs.model(nodes, [graphs.tensor("x", T.FLOAT, ["n", 3])], [graphs.tensor("y", T.INT64, ["n"])], axis=np.array(0))


MIXING = {
    "running-sum": one_input([graphs.node("CumSum", ["x", "axis"], ["y"])], axis=np.array(0)),
    "running-sum-back": one_input([graphs.node("CumSum", ["x", "axis"], ["y"], reverse=1)], axis=np.array(0)),
    "softmax-of-rows": along_rows("Softmax"),
    "less-mean": reduced("ReduceMean"),
    "less-max": reduced("ReduceMax"),
    "sorted": graphs.model(
        [
            graphs.node("Shape", ["x"], ["rows"], start=0, end=1),
            graphs.node("TopK", ["x", "rows"], ["y", "places"], axis=0),
        ],
        [graphs.tensor("x", T.FLOAT, ["n", 3])],
        [graphs.tensor("y", T.FLOAT, ["n", 3])],
    ),
    "quantised": quantised(),
    "only-a-class": only_a_class(),
}
WORDS = graphs.identity(T.STRING, ["n", 2])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    models = tmp_path_factory.mktemp("models")
    for name, content in {
        **MIXING,
        "matrix": matrix(),
        "matrix-2": matrix(),
        "words": WORDS,
        "pick": graphs.pick(),
        "logarithm": graphs.logarithm(),
        "two-inputs": graphs.two_inputs(),
        "uneven": graphs.uneven(),
        "slow": graphs.slow(),
        "scalar": graphs.scalar(),
    }.items():
        graphs.put(models, name, content)
    return models


class Counted:
    """A predictor, and how often a session has run since it was last asked."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._runs = 0
        run = Session.run

        def counted(session: Session, *arguments: Any, **named: Any) -> Any:
            self._runs += 1
            return run(session, *arguments, **named)

        repository = open_repository(Settings(model_dir=str(folder)))
        repository.preload("all")
        monkeypatch.setattr(Session, "run", counted)
        self.predictor = Predictor(repository, max_body_bytes=10**8, max_result_bytes=10**8)

    def answer_many(self, requests: list[PredictionRequest], *, exact: bool = True) -> list[PredictionResponse | Problem]:
        return self.predictor.answer_many(requests, [Report() for _ in requests], exact=exact)

    def runs(self) -> int:
        taken, self._runs = self._runs, 0
        return taken


@pytest.fixture
def counted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(folder, monkeypatch)


def ask(model: str, inputs: Any, **fields: Any) -> PredictionRequest:
    return PredictionRequest(orjson.dumps({"inputs": inputs}, option=orjson.OPT_SERIALIZE_NUMPY), model=model, **fields)


def rows(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32)


def alone(counted: Counted, requests: list[PredictionRequest]) -> list[PredictionResponse | Problem]:
    return list(itertools.chain.from_iterable(counted.answer_many([request]) for request in requests))


def test_a_pack_is_one_run_once_its_shape_is_known(counted: Counted) -> None:
    """A pack's shape that comes once is run request by request, is tried when it comes again, and is one run from then on."""
    requests = [ask("matrix", rows(count, seed=count)) for count in (2, 3, 4)]
    expected = alone(counted, requests)
    counted.runs()
    first, first_runs = counted.answer_many(requests), counted.runs()
    second, _ = counted.answer_many(requests), counted.runs()
    third, third_runs = counted.answer_many(list(reversed(requests))), counted.runs()

    assert (3, 1) == (first_runs, third_runs)
    assert expected == first == second == list(reversed(third))
    assert all(isinstance(answer, PredictionResponse) for answer in expected)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(counts=st.lists(st.integers(1, 70), min_size=1, max_size=7), seed=st.integers(0, 2**32 - 1))
def test_any_rows_are_answered_as_alone(counted: Counted, counts: list[int], seed: int) -> None:
    """Whatever rows come together, and however often, each request has the bytes that it has alone."""
    requests = [ask("matrix", rows(count, seed + place)) for place, count in enumerate(counts)]
    expected = alone(counted, requests)

    for _ in range(TWICE + 1):
        assert expected == counted.answer_many(requests)


@pytest.mark.parametrize("model", MIXING)
@pytest.mark.parametrize("first", [0.0, 1.0], ids=["learnt-with-zeros", "learnt-with-values"])
def test_rows_that_know_of_each_other_are_never_packed(counted: Counted, model: str, first: float) -> None:
    """A graph that makes something of all rows answers each request by itself, whatever values its first packs had."""
    harmless = [ask(model, rows(1) * first) for _ in range(3)]
    for _ in range(TWICE + 1):
        counted.answer_many(harmless)
    requests = [ask(model, rows(1, seed=seed) * 10.0**seed) for seed in range(3)]
    expected = alone(counted, requests)
    counted.runs()

    assert expected == counted.answer_many(requests)
    assert len(requests) == counted.runs()


def test_strings_are_packed(counted: Counted) -> None:
    """Strings go through a pack as they are: empty, of any script, long."""
    texts = [[["", "grüße"]], [["日本", "x" * 5000], ["a", "b"]], [["c", "d"], ["e", "f"], ["g", "h"]]]
    requests = [ask("words", rows) for rows in texts]
    expected = alone(counted, requests)
    for _ in range(TWICE):
        assert expected == counted.answer_many(requests)
    counted.runs()

    assert expected == counted.answer_many(requests)
    assert 1 == counted.runs()


def test_each_kind_is_a_pack_of_its_own(counted: Counted) -> None:
    """Models, shapes, chosen outputs and dialects may be mixed: what fits is packed, and every answer is that of its request alone."""
    tensor = {"name": "x", "shape": [1, 3], "datatype": "FP32", "data": [1.5, 2.5, 3.5]}
    requests = [
        ask("matrix", rows(1)),
        ask("matrix-2", rows(1)),
        ask("two-inputs", {"input_ids": [[1, 2]], "attention_mask": [[1, 0]]}),
        ask("two-inputs", {"input_ids": [[1, 2, 3]], "attention_mask": [[1, 0, 1]]}),
        ask("scalar", {"x": 1.5}),
        PredictionRequest(b"1,2,3\n4,5,6\n", model="matrix", content_type="text/csv", accept="text/csv"),
        PredictionRequest(orjson.dumps({"inputs": [tensor]}), model="matrix", dialect="open_inference", id="7"),
        PredictionRequest(orjson.dumps({"instances": [[1, 2, 3]]}), model="matrix-2", dialect="tensorflow_serving"),
        ask("two-inputs", {"input_ids": [[4, 5]], "attention_mask": [[1, 1]]}),
    ]
    expected = alone(counted, requests)
    assert all(isinstance(answer, PredictionResponse) for answer in expected), expected
    for _ in range(TWICE):
        assert expected == counted.answer_many(requests)
    counted.runs()

    assert expected == counted.answer_many(requests)
    # matrix, matrix-2, two inputs of two tokens, of three, scalar
    assert 5 == counted.runs()


def test_a_request_that_cannot_be_read_fails_alone(counted: Counted) -> None:
    """Bytes that are no request, an unknown model and a wrong shape have their errors; their neighbours have their answers."""
    good = [ask("matrix", rows(2)), ask("matrix", rows(2, seed=1))]
    bad = [PredictionRequest(b"{", model="matrix"), ask("ghost", [1]), ask("matrix", [[1, 2]])]
    expected = alone(counted, [good[0], *bad, good[1]])
    for _ in range(TWICE + 1):
        found = counted.answer_many([good[0], *bad, good[1]])

        assert expected[0] == found[0]
        assert expected[4] == found[4]
        assert ["unreadable-json", "unknown-model", "wrong-shape"] == [one.code for one in found[1:4] if isinstance(one, Problem)]


def test_a_request_that_makes_the_run_fail_fails_alone(counted: Counted) -> None:
    """A value that the graph refuses fails its own request, in a pack that is run as one too."""
    good = [ask("pick", [1]), ask("pick", [2]), ask("pick", [0])]
    for _ in range(TWICE):
        counted.answer_many(good)
    counted.runs()
    counted.answer_many(good)
    assert 1 == counted.runs()

    found = counted.answer_many([good[0], ask("pick", [99]), good[2]])
    assert isinstance(found[1], Problem)
    assert "input-refused-by-model" == found[1].code
    assert alone(counted, [good[0], good[2]]) == [found[0], found[2]]


def test_an_output_that_is_not_of_rows_is_not_split(counted: Counted) -> None:
    """An output of twice the rows keeps a model's requests apart."""
    requests = [ask("uneven", [1.5]), ask("uneven", [2.5])]
    expected = alone(counted, requests)

    for _ in range(TWICE + 1):
        assert expected == counted.answer_many(requests)
    assert [[1.5], [1.5, 1.5]] == list(orjson.loads(expected[0].body)["outputs"].values())  # type: ignore[union-attr]


def test_each_request_has_its_own_deadline(counted: Counted) -> None:
    """A request whose time is up fails; the others of its pack have their answers."""
    good = [ask("matrix", rows(1)), ask("matrix", rows(1, seed=1)), ask("matrix", rows(1, seed=2))]
    expected = alone(counted, good)
    for _ in range(TWICE + 1):
        assert expected == counted.answer_many(good)
    late = good[1]._replace(deadline=time.monotonic() - 1)
    found = counted.answer_many([good[0], late, good[2]])

    assert isinstance(found[1], Problem)
    assert "deadline-exceeded" == found[1].code
    assert [expected[0], expected[2]] == [found[0], found[2]]


def test_a_slow_request_does_not_fail_those_before_it(counted: Counted) -> None:
    """A run that is ended by the deadline fails; what was answered before it stays answered."""
    deadline = time.monotonic() + 1
    found = counted.answer_many([ask("matrix", rows(1), deadline=deadline), ask("slow", 10**9, deadline=deadline)])

    assert isinstance(found[0], PredictionResponse)
    assert isinstance(found[1], Problem)
    assert "deadline-exceeded" == found[1].code


def test_large_packs_are_cut(counted: Counted) -> None:
    """Requests of 12 MB each are joined two by two, so that a pack's copy stays under 32 MB."""
    large = np.zeros((1_000_000, 3), np.float32)
    body = b"\x93NUMPY\x01\x00v\x00" + f"{{'descr': '<f4', 'fortran_order': False, 'shape': {large.shape}, }}".ljust(117).encode() + b"\n"
    requests = [
        PredictionRequest(body + large.tobytes(), model="matrix", content_type="application/x-npy", accept="application/x-npy")
        for _ in range(4)
    ]
    for _ in range(TWICE):
        counted.answer_many(requests)
    counted.runs()
    found = counted.answer_many(requests)

    assert all(isinstance(answer, PredictionResponse) for answer in found), found
    assert 2 == counted.runs()


def test_a_pack_too_large_to_answer_is_answered_one_by_one(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of a result is that of each request: a pack whose outputs together pass it is run request by request."""
    counted = Counted(folder, monkeypatch)
    counted.predictor = Predictor(counted.predictor._steps._repository, max_body_bytes=10**8, max_result_bytes=4000)
    requests = [ask("words", [["", ""]] * 400) for _ in range(6)]
    expected = alone(counted, requests)
    assert all(isinstance(answer, PredictionResponse) for answer in expected), expected

    for _ in range(TWICE + 1):
        assert expected == counted.answer_many(requests)


def test_every_request_is_counted_once(counted: Counted) -> None:
    """The model's statistics count requests and rows, packed or not."""
    requests = [ask("matrix-2", rows(2)), ask("matrix-2", rows(2, seed=1)), ask("matrix-2", rows(1))]
    statistics = counted.predictor._steps._repository.get("matrix-2", None).statistics
    for times in range(1, TWICE + 2):
        counted.answer_many(requests)

        assert (3 * times, 5 * times, 0) == (statistics.successes, statistics.inferences, statistics.failures)


def values_of(answers: list[PredictionResponse | Problem]) -> list[np.ndarray]:
    return [np.array(orjson.loads(answer.body)["outputs"]["y"]) for answer in answers if isinstance(answer, PredictionResponse)]


def test_independent_rows_share_a_run_at_once(counted: Counted) -> None:
    """Where the last bit does not count, a model is tried with two requests once, and then any rows share a run, whatever their numbers."""
    requests = [ask("matrix", rows(1 + place % 3, seed=place)) for place in range(20)]
    expected = alone(counted, requests)
    counted.runs()
    found, first_runs = counted.answer_many(requests, exact=False), counted.runs()
    again, again_runs = counted.answer_many([*requests, *requests], exact=False), counted.runs()

    assert (7, 1) == (first_runs, again_runs)
    for one, other in zip(values_of(expected) * 3, values_of(found) + values_of(again), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5)


@pytest.mark.parametrize("model", MIXING)
@pytest.mark.parametrize("first", [0.0, 1.0], ids=["learnt-with-zeros", "learnt-with-values"])
def test_rows_that_know_of_each_other_never_share_a_run(counted: Counted, model: str, first: float) -> None:
    """A graph that makes something of all rows answers each request by itself, also where the last bit does not count."""
    counted.answer_many([ask(model, rows(1) * first) for _ in range(10)], exact=False)
    requests = [ask(model, rows(1, seed=seed) * 10.0**seed) for seed in range(10)]
    expected = alone(counted, requests)
    counted.runs()

    assert expected == counted.answer_many(requests, exact=False)
    assert len(requests) == counted.runs()


def test_few_requests_are_not_worth_a_trial(counted: Counted) -> None:
    """A model of which nothing is known is not tried for a handful of requests."""
    requests = [ask("matrix-2", rows(1, seed=place)) for place in range(3)]
    counted.answer_many(requests, exact=False)

    assert len(requests) == counted.runs()
