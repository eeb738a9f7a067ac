"""The routes of the API, as the template declares them."""

import pytest

from app.http.routes import ROUTES
from local.routes import Route, Routes, routes_of

MANY = Routes([Route("ANY", "/v1/{proxy+}"), Route("GET", "/v1/{name}"), Route("GET", "/v1/models"), Route("ANY", "/v1/models")])


@pytest.mark.parametrize(
    ("method", "path", "route", "parameters"),
    [
        ("GET", "/v1/models", "GET /v1/models", {}),
        ("PUT", "/v1/models", "ANY /v1/models", {}),
        ("GET", "/v1/iris", "GET /v1/{name}", {"name": "iris"}),
        ("PUT", "/v1/iris", "ANY /v1/{proxy+}", {"proxy": "iris"}),
        ("GET", "/v1/iris/a%2Fb", "ANY /v1/{proxy+}", {"proxy": "iris/a%2Fb"}),
    ],
)
def test_the_closest_route_is_taken(method: str, path: str, route: str, parameters: dict[str, str]) -> None:
    """A full match goes before names, names before what is greedy, and a method before any."""
    taken = MANY.take(method, path)

    assert taken is not None
    assert (route, parameters) == (str(taken.route), taken.parameters)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v2/models", "/xv1/models"])
def test_what_has_no_route(path: str) -> None:
    """A greedy name holds something, and a path fits as a whole."""
    assert MANY.take("GET", path) is None


def test_every_route_of_the_function_has_one() -> None:
    """The template leads every route of the table to the function, but those whose addresses are S3's there."""
    routes = routes_of("OnnxLambda")
    missing = [
        f"{route.method} {route.path}"
        for route in ROUTES
        if routes.take(route.method, route.path.replace("{", "").replace("}", "")) is None
    ]

    # And but what ends with a slash: API Gateway takes no empty part for a name.
    assert ["GET /v2/", "PUT /uploads/{id}", "GET /downloads/{id}"] == missing
