"""The API as an OpenAPI document, printed from the table of routes; what values look like is msgspec's to say."""

from collections.abc import Iterable
from typing import Any

import msgspec

from daemon.api.route import Route
from engine.errors import Problem


class ProblemDocument(msgspec.Struct, kw_only=True):
    """Say why there is no other answer (RFC 9457); `code` is stable, `problems` are those of a document."""

    type: str
    title: str
    status: int
    code: str
    detail: str
    problems: list[Problem] = []


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Print the routes as an OpenAPI 3.1 document."""
    routes = list(routes)
    kinds = [kind for route in routes for kind in (route.answer, route.body) if kind is not None]
    schemas, components = msgspec.json.schema_components(
        [*kinds, ProblemDocument], ref_template="#/components/schemas/{name}"
    )
    of_kind = dict(zip(map(repr, [*kinds, ProblemDocument]), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, of_kind)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Dropmill", "version": "1"},
        "paths": paths,
        "components": {"schemas": components},
    }


def _operation(route: Route, of_kind: dict[str, Any]) -> dict[str, Any]:
    within = [part[1:-1] for part in route.path.split("/") if part.startswith("{")]
    parameters = [{"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in within]
    parameters += [
        {"name": name, "in": "query", "description": about, "schema": {"type": "string"}}
        for name, about in route.query.items()
    ]
    answer: dict[str, Any] = {"description": route.purpose}
    if route.answer is not None:
        media = "text/plain" if route.answer is str else "application/json"
        answer["content"] = {media: {"schema": of_kind[repr(route.answer)]}}
    refusal = {"application/problem+json": {"schema": of_kind[repr(ProblemDocument)]}}
    operation: dict[str, Any] = {
        "summary": route.purpose,
        "operationId": route.handler.__name__,
        "parameters": parameters,
        "responses": {"2XX": answer, "default": {"description": "Why not.", "content": refusal}},
    }
    if route.body is not None:
        operation["requestBody"] = {"content": {"application/json": {"schema": of_kind[repr(route.body)]}}}
    return operation
