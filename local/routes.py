"""The routes of the HTTP API as the template declares them, and which one a request takes."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from local import template

_ANY = "ANY"


class Route(NamedTuple):
    """A method, or ``ANY``, and a path with ``{name}`` for one part and ``{name+}`` for all that follow."""

    method: str
    path: str

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def parameters(self, path: str) -> dict[str, str] | None:
        """What a path has in the places of the names; None where it does not fit."""
        parts = re.split(r"\{(\w+)(\+?)\}", self.path)
        pattern = re.escape(parts[0])
        for name, greedy, rest in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            pattern += f"(?P<{name}>{'.+' if greedy else '[^/]+'}){re.escape(rest)}"
        found = re.fullmatch(pattern, path)
        return found.groupdict() if found else None

    @property
    def rank(self) -> tuple[bool, int, bool]:
        """Its place among routes that a path fits: the smallest is taken."""
        # Full matches before greedy ones, methods before ANY: "Working with routes for HTTP APIs".
        return "+}" in self.path, self.path.count("{"), self.method == _ANY


class Taken(NamedTuple):
    """The route of a request, and what its path has in the places of names."""

    route: Route
    parameters: Mapping[str, str]


class Routes:
    """The routes of an API."""

    def __init__(self, routes: list[Route]) -> None:
        self._routes = sorted(routes, key=lambda route: route.rank)

    def take(self, method: str, path: str) -> Taken | None:
        """The route that a request takes; None where there is none."""
        for route in self._routes:
            parameters = route.parameters(path)
            if parameters is not None and route.method in {method, _ANY}:
                return Taken(route, parameters)
        return None


def routes_of(function: str) -> Routes:
    """The routes that lead to a function: its own events, or the document of the API where the template has that."""
    found = [*_of_events(template.written()["Resources"][function]["Properties"].get("Events", {}))]
    for api in template.of_type(template.written()["Resources"], "AWS::Serverless::HttpApi").values():
        found += _of_document(api.get("DefinitionBody", {}))
    return Routes(found)


def _of_events(events: Mapping[str, Any]) -> Iterator[Route]:
    for event in events.values():
        if event["Type"] == "HttpApi":
            yield Route(event["Properties"]["Method"].upper(), event["Properties"]["Path"])


def _of_document(document: Mapping[str, Any]) -> Iterator[Route]:
    for path, methods in document.get("paths", {}).items():
        for method in methods:
            if method == "x-amazon-apigateway-any-method":
                yield Route(_ANY, path)
            elif method in {"get", "put", "post", "delete", "options", "head", "patch"}:
                yield Route(method.upper(), path)
