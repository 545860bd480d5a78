"""The description of the API, and whether the API keeps to it: schemathesis asks whatever it can think of."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

from ringfence.runtime.credentials import API_SECRET_KEY, JWT_SECRET_KEY, load_credentials
from ringfence.service.access.rights import Principal, Role
from ringfence.service.api.description import description_of
from ringfence.service.app import make_app
from ringfence.service.desk import open_desk
from ringfence.service.settings import ServiceSettings
from ringfence.service.settings.access import AccessSettings

pytestmark = pytest.mark.integration


@pytest.fixture(scope="session")
def contract(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
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
    desk.stopping.set()
    app = make_app(desk)
    schema = schemathesis.openapi.from_dict(description_of(app))
    schema.app = app
    schema.config.update(base_url="http://testserver.local")
    token = desk.tokens.make(Principal("everybody", Role.ADMIN), 36_000)
    schema.config.update(headers={"Authorization": f"Bearer {token}"})
    yield schema
    desk.close()


schema = schemathesis.pytest.from_fixture("contract")


@schema.parametrize()
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_to_its_description(case: schemathesis.Case) -> None:
    case.call_and_validate()


def test_the_published_description_is_that_of_the_service(contract):
    published = json.loads(Path("schemas/openapi.v1.json").read_text("utf-8"))
    assert published == json.loads(json.dumps(contract.raw_schema))


def test_every_route_says_what_it_is_and_what_can_go_wrong(contract):
    for path, operations in contract.raw_schema["paths"].items():
        for method, operation in operations.items():
            told = f"{method} {path}"
            assert operation["summary"] and operation["description"], told
            assert {"401", "403", "500"} <= set(operation["responses"]), told
            for status, answer in operation["responses"].items():
                if status >= "400":
                    assert list(answer["content"]) == ["application/problem+json"], told
