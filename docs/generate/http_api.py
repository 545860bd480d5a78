"""The pages of the HTTP API: its routes, and what can go wrong with them."""

from typing import Any

from ringfence.service.api.problems import KINDS
from ringfence.service.api.published import published_description

from .markdown_text import page, sentence

_METHODS = ("get", "post", "put", "patch", "delete")


def problems_page() -> str:
    """Return the page of the kinds of problems."""
    parts = []
    for kind in KINDS.values():
        parts += [
            f"## `{kind.type}`",
            f"Status {kind.status}. {sentence(kind.title)}",
            f"Fix: {kind.fix}.",
        ]
    return page(
        "Problems of the HTTP API",
        "Every error of the API is an answer of media type `application/problem+json` (RFC 9457): `type` is one of "
        "the URIs below and never changes its meaning, `title` says what it stands for, `detail` what is wrong this "
        "time, `fix` what to do, `instance` which path was asked, `request_id` the name of the request. `errors` lists "
        "every fault: a place in the body by its JSON `pointer`, or a `parameter`.",
        *parts,
    )


def routes_page() -> str:
    """Return the page of the routes."""
    described = published_description()
    by_tag: dict[str, list[str]] = {each["name"]: [] for each in described["tags"]}
    for path, operations in described["paths"].items():
        for method in _METHODS:
            if method in operations:
                about = operations[method]
                by_tag[about["tags"][0]] += _route(method, path, about)
    parts = []
    for tag in described["tags"]:
        parts += [f"## {tag['name'].capitalize()}", tag["description"], *by_tag[tag["name"]]]
    return page(
        "Routes of the HTTP API",
        "All routes, in short. Their bodies are described by `schemas/openapi.v1.json` (OpenAPI 3.1), which the "
        "service publishes at `/schema/openapi.json`; what can go wrong is in [problems](http-problems.md).",
        *parts,
    )


def _route(method: str, path: str, about: dict[str, Any]) -> list[str]:
    words = " ".join(about["description"].split())
    return [f"### `{method.upper()} {path}`", words]
