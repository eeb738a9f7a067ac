"""Many small requests at once: each has the answer that it has alone, whatever way it took."""

import json
from typing import Any, Literal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto as T

from app.errors import Problem, UnknownModel
from app.inference.repository import Repository
from app.prediction import PredictionRequest, PredictionResponse, Predictor
from app.report import Report
from app.settings import Settings
from app.wiring import open_repository
from tests import graphs

MODELS = {
    "pairs": graphs.identity(T.FLOAT, ["n", 2]),
    "wide": graphs.identity(T.FLOAT, ["n", "k"]),
    "singles": graphs.identity(T.DOUBLE, ["n"]),
}
OTHERS = {"cube": graphs.identity(T.FLOAT, ["n", 2, 2]), "whole": graphs.identity(T.INT64, ["n", 2]), "fixed": graphs.fixed_batch()}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Repository:
    folder = tmp_path_factory.mktemp("models")
    for name, content in (MODELS | OTHERS).items():
        graphs.put(folder, name, content)
    return open_repository(Settings(model_dir=str(folder)))


@pytest.fixture(scope="module")
def predictor(repository: Repository) -> Predictor:
    return Predictor(repository, max_body_bytes=10**6, max_result_bytes=10**6)


def alone(predictor: Predictor, model: str, body: dict[str, Any]) -> Any:
    try:
        return json.loads(predictor.answer(PredictionRequest(json.dumps(body).encode(), model)).body)
    except Problem as problem:
        return type(problem)


rows = st.lists(st.lists(st.one_of(st.integers(-5, 5), st.floats(width=32), st.just(1e5)), min_size=1, max_size=3), max_size=3)


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(rows, min_size=8, max_size=20), st.sampled_from([*MODELS, *OTHERS]), st.sampled_from(["inputs", "instances"]))
def test_answers_are_those_of_each_alone(predictor: Predictor, bodies: list[Any], model: str, member: str) -> None:
    """Whatever rows come together, those that are not left have the answer that their body has alone."""
    if model == "singles":
        bodies = [[row[0] for row in body] for body in bodies]
    form: Literal["columns", "rows"] = "columns" if member == "inputs" else "rows"
    found = predictor.answer_rows(PredictionRequest(b"", model), bodies, form, Report())

    for place, body in enumerate(bodies):
        if place not in found.left:
            answer = found.response(place)
            got = json.loads(answer.body) if isinstance(answer, PredictionResponse) else type(answer)
            assert alone(predictor, model, {member: body}) == got


def test_plain_rows_are_not_left(predictor: Predictor) -> None:
    """Plain rows are answered together; a body of another width, or with a number that no half float holds, is left."""
    bodies: list[Any] = [[[float(n), 1.0]] for n in range(10)]
    found = predictor.answer_rows(PredictionRequest(b"", "pairs"), [*bodies, [[1.0]], [[1e5, 1.0]], []], "columns", Report())

    assert [10, 11, 12] == found.left
    assert not found.are_all_answered


def test_ids_stay_with_their_requests(predictor: Predictor) -> None:
    """A request's own id is in its answer and in no other."""
    found = predictor.answer_rows(PredictionRequest(b"", "pairs"), [[[1.0, 2.0]]] * 9, "columns", Report())
    with_id, without = found.response(3, "mine"), found.response(4)

    assert isinstance(with_id, PredictionResponse)
    assert isinstance(without, PredictionResponse)
    assert ("mine", None) == (json.loads(with_id.body).get("id"), json.loads(without.body).get("id"))


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.lists(st.floats(-1e4, 1e4, width=32), min_size=2, max_size=2), min_size=8, max_size=20),
    st.sampled_from(['{"inputs":%s}', '{"inputs": %s}', '{ "instances" :%s }']),
)
def test_bodies_alike(predictor: Predictor, values: list[Any], text: str) -> None:
    """Bodies that differ in their numbers alone are read as one text, and answered as each alone is."""
    bodies = [text % json.dumps([row]) for row in values]
    found = predictor.answer_alike(PredictionRequest(b"", "pairs"), bodies, Report())

    assert found is not None
    assert found.are_all_answered
    for place, body in enumerate(bodies):
        answer = found.response(place)
        assert predictor.answer(PredictionRequest(body.encode(), "pairs")) == answer


GOOD = '{"inputs":[[1.5,2.5]]}'


@pytest.mark.parametrize(
    "odd",
    [
        "",
        "{",
        '{"inputs":[[1.5,2.5]],"id":"a"}',
        '{"inputs":[[1.5,2.5],[1.5,2.5]]}',
        '{"inputs":[[1.5]]}',
        '{"inputs":[[1.5,]]}',
        '{"inputs":[[1.5,-]]}',
        '{"inputs":[[1.5 2.5,3]]}',
        '{"inputs":[[1.5,1e39]]}',
        '{"inputs":[[1.5,true]]}',
        '{"e1inputs":[[1.5,2.5]]}',
        '{"inputs1":[[1.5,2.5]]}',
        '{"inputs":[[1.5,2.5]]}\n{"inputs":[[1.5,2.5]]}',
        '{"inputs":[[1.5,2.5]],\n"inputs":[[1.5,2.5]]}',
        '[[1.5,2.5]]{"inputs":',
        '{"instances":[[1.5,2.5]]}',
        '{"inputs":[[1.5,2.5]]}\ud800',
    ],
)
@pytest.mark.parametrize("place", [0, 5, 9])
def test_one_that_is_not_alike(predictor: Predictor, odd: str, place: int) -> None:
    """One body that is otherwise, wherever it stands, and all are left to be looked at one by one."""
    bodies = [GOOD] * 9
    bodies.insert(place, odd)

    assert predictor.answer_alike(PredictionRequest(b"", "pairs"), bodies, Report()) is None


def test_rows_without_numbers(predictor: Predictor) -> None:
    """Rows of no width are answered as each is alone, by a model that takes any width."""
    empty = '{"inputs":[[]]}'
    found = predictor.answer_alike(PredictionRequest(b"", "wide"), [empty] * 9, Report())

    assert found is None or predictor.answer(PredictionRequest(empty.encode(), "wide")) == found.response(8)


def test_two_that_make_up_for_each_other(predictor: Predictor) -> None:
    """Bodies of which one lacks what another has too much are not taken for whole ones."""
    halves = ['{"inputs":[[1.5,2.5]]}\n{"inputs":[[1.5,', "2.5]]}"]

    assert predictor.answer_alike(PredictionRequest(b"", "pairs"), [GOOD] * 4 + halves + [GOOD] * 4, Report()) is None


def test_an_unknown_model(predictor: Predictor) -> None:
    """A model that is not there is told before anything is read."""
    with pytest.raises(UnknownModel):
        predictor.answer_rows(PredictionRequest(b"", "nobody"), [[[1.0]]], "columns", Report())


def test_statistics_count_each_request(repository: Repository, predictor: Predictor) -> None:
    """A model's statistics count requests and rows as if each had come alone."""
    statistics = repository.get("wide", None).statistics
    before = statistics.successes, statistics.inferences
    predictor.answer_rows(PredictionRequest(b"", "wide"), [[[1.0, 2.0]], [[1.0, 2.0], [3.0, 4.0]]] * 5, "columns", Report())

    assert (before[0] + 10, before[1] + 15) == (statistics.successes, statistics.inferences)
