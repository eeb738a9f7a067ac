"""The route table, and what a caller is told who took a wrong path."""

import httpx
import pytest

from app.http.message import Request
from app.http.routes import ROUTES, endpoint_of, find, matching
from tests.problems import check_problem


@pytest.mark.parametrize("route", [route for route in ROUTES if route.endpoint], ids=lambda route: f"{route.method} {route.path}")
def test_every_row_has_an_endpoint(route) -> None:
    """Each row of the table names a function that exists."""
    assert callable(endpoint_of(route))


def test_rows_are_told_apart() -> None:
    """No two rows have the same method and path, nor the same summary, which is the operation's name."""
    assert len(ROUTES) == len({(route.method, route.path) for route in ROUTES}) == len({route.summary for route in ROUTES})


@pytest.mark.parametrize(
    ("method", "path", "pattern", "parameters"),
    [
        ("POST", "/v1/models/half:predict", "/v1/models/{name}:predict", {"name": "half"}),
        ("POST", "/v1/models/half/versions/3:predict", "/v1/models/{name}/versions/{version}:predict", {"name": "half", "version": "3"}),
        ("GET", "/v1/models/half/versions/3", "/v1/models/{name}/versions/{version}", {"name": "half", "version": "3"}),
        ("POST", "/v1/models/half/labels/new:predict", "/v1/models/{name}/labels/{label}:predict", {"name": "half", "label": "new"}),
        ("GET", "/v2/models/stats", "/v2/models/stats", {}),
        ("GET", "/v2/models/m/stats", "/v2/models/{name}/stats", {"name": "m"}),
        ("HEAD", "/v2/", "/v2/", {}),
    ],
)
def test_parameters(method: str, path: str, pattern: str, parameters: dict[str, str]) -> None:
    """A segment of a path is a literal, a parameter, or a parameter before a verb."""
    request = Request(method, path)

    assert pattern == find(request).path
    assert parameters == request.parameters


def test_a_path_without_a_name_is_none() -> None:
    """A verb alone names no model."""
    assert () == matching("/v1/models/:predict")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("/predict/", "Did you mean /predict?"),
        ("/prdict", "Did you mean /predict?"),
        ("/v2/model/iris/infer", "Did you mean /v2/models/iris/infer?"),
        ("/v2/models/iris/inferr", "Did you mean /v2/models/iris/infer?"),
        ("/v1/models/iris/predict", "Did you mean /v1/models/iris:predict?"),
        ("/v1/embedding", "Did you mean /v1/embeddings?"),
        ("/v1/models/iris:explain", ":predict is"),
        ("/v2/systemsharedmemory/status", "Shared memory is not offered"),
        ("/v2/trace/setting", "Server-Timing"),
        ("/nothing/like/it", "GET / lists what there is."),
    ],
)
def test_hints(fast: httpx.Client, path: str, hint: str) -> None:
    """A path that is almost right is answered with the one that may have been meant."""
    assert hint in check_problem(fast.get(path), 404, "unknown-path")["error"]


def test_no_hint_that_leads_nowhere(fast: httpx.Client) -> None:
    """A path is never offered as its own correction."""
    assert "Did you mean" not in fast.post("/v1/models/:predict").json()["error"]


def test_missing_verb(http: httpx.Client) -> None:
    """TensorFlow Serving's commonest mistake is answered in its words, and with what is missing."""
    problem = check_problem(http.post("/v1/models/iris", json={}), 405, "method-not-allowed")

    assert "Malformed request: POST /v1/models/iris. Did you mean /v1/models/iris:predict?" in problem["error"]
