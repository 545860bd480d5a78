"""The description of the API, and whether the API keeps to it: schemathesis asks whatever it can think of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import schemathesis
from schemathesis import engine
from schemathesis.engine import events

from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.service.access.rights import Principal, Role
from ringfence.service.app import make_app
from ringfence.service.desk import open_desk
from ringfence.service.settings import ServiceSettings
from ringfence.service.settings.access import AccessSettings

pytestmark = pytest.mark.integration
# Of each kind of request to each route.
EXAMPLES = 1
WHOLE = b"expected `int`, got `float`"
LENGTHS = b"give columns of one length"


class Contract(NamedTuple):
    """The description, for schemathesis and as plain data."""

    schema: Any
    described: dict[str, Any]


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contract]:
    """An application of its own, whatever happens to it; its streams end at once."""
    settings = ServiceSettings(
        environment="testing",
        policies=Path("policies").resolve(),
        data=tmp_path_factory.mktemp("contract"),
        access=AccessSettings(requests_per_minute=1_000_000),
    )
    credentials = load_credentials(
        (API_SECRET_KEY, JWT_SECRET_KEY), {"RINGFENCE_ENVIRONMENT": "testing"}
    )
    desk = open_desk(settings, credentials)
    for book in ("account/alpha", "account/beta", "strategy/taker"):
        desk.guard.on_balance(book, "opening", 6_000_000)
    # Streams end at once.
    desk.stopping.set()
    token = desk.tokens.make(Principal("everybody", Role.ADMIN), 36_000)
    config = schemathesis.Config.from_dict(
        {
            "base-url": "http://testserver.local",
            "headers": {"Authorization": f"Bearer {token}"},
            "continue-on-failure": True,
            "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
            # What one answer names is asked for next, also once it has been removed.
            "phases": {"stateful": {"enabled": True, "max-steps": 4}},
        }
    )
    app = make_app(desk)
    schema = schemathesis.openapi.from_asgi("/schema/openapi.json", app, config=config)
    # As it is published: schemathesis adds the links that it finds.
    yield Contract(schema, json.loads(json.dumps(schema.raw_schema)))
    app.state.answers.close()
    desk.close()


def test_every_route_keeps_to_its_description(contract):
    failures: dict[str, str] = {}
    errors: list[str] = []
    tried: set[str] = set()
    for event in engine.from_schema(contract.schema).execute():
        if isinstance(event, events.NonFatalError):
            errors.append(f"{event.label}: {event.value!r}")
        if isinstance(event, events.FatalError):
            raise event.exception
        if isinstance(event, events.ScenarioFinished):
            tried.add(event.recorder.label)
            for name, checks in event.recorder.checks.items():
                for each in checks:
                    answer = event.recorder.interactions[name].response
                    # To JSON Schema 5.0 is a whole number; here it is none, for it may have lost digits. And it
                    # cannot say that lists are of one length.
                    is_unsaid = answer is not None and (
                        WHOLE in answer.content or LENGTHS in answer.content
                    )
                    if each.failure_info is not None and not is_unsaid:
                        case = event.recorder.cases[name].value
                        words = (
                            f"{each.name}: {each.failure_info.failure}\n{case.as_curl_command()}"
                        )
                        failures.setdefault(f"{event.recorder.label} {each.name}", words)
    described = {
        f"{method.upper()} {path}"
        for path, operations in contract.described["paths"].items()
        for method in operations
    }
    assert described - tried == set()
    assert not errors
    assert not failures, "\n\n".join(failures.values())


def test_the_published_description_is_that_of_the_service(contract):
    published = json.loads(Path("schemas/openapi.v1.json").read_text("utf-8"))
    assert published == contract.described


def test_every_route_says_what_it_is_and_what_can_go_wrong(contract):
    for path, operations in contract.described["paths"].items():
        for method, operation in operations.items():
            told = f"{method} {path}"
            assert operation["summary"], told
            assert operation["description"], told
            assert {"401", "403", "500"} <= set(operation["responses"]), told
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], told
