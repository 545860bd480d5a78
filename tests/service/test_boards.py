"""The boards for Grafana: current, without a key that Grafana does not know, on one source that can be chosen."""

import importlib.util
import json
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from service.test_alert_rules import NAME, shown_names

pytestmark = pytest.mark.unit

GRAFANA = Path(__file__).resolve().parents[2] / "docker" / "grafana"
FILES = sorted((GRAFANA / "dashboards").glob("*.json"))
BOARDS = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in FILES}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
UNITS = {"none", "ops", "reqps", "s", "bytes", "percentunit"}


@pytest.fixture(scope="module")
def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("boards", GRAFANA / "boards.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lost(given: Any, back: Any, place: str = "") -> list[str]:
    """Places at which something is missing, or has become something else."""
    if isinstance(given, dict) and isinstance(back, dict):
        return [
            found
            for key, value in given.items()
            for found in (
                lost(value, back[key], f"{place}/{key}") if key in back else [f"{place}/{key}"]
            )
        ]
    if isinstance(given, list) and isinstance(back, list) and len(given) == len(back):
        pairs = zip(given, back, strict=True)
        return [
            found
            for n, (ours, theirs) in enumerate(pairs)
            for found in lost(ours, theirs, f"{place}/{n}")
        ]
    return [] if given == back else [place]


def round_trip(board: dict[str, Any]) -> Any:
    register_default_plugins()
    return json.loads(JSONEncoder(sort_keys=True).encode(Dashboard.from_json(board)))


def test_the_boards_are_those_that_the_generator_writes(generator: ModuleType) -> None:
    assert set(BOARDS) == {"overview", "latency", "gates", "audit", "exchange"}
    for path in FILES:
        written = path.read_text(encoding="utf-8")
        assert written == generator.text(path.stem), "run python docker/grafana/boards.py"


@pytest.mark.parametrize("name", BOARDS)
def test_grafana_knows_every_key(name: str) -> None:
    assert lost(BOARDS[name], round_trip(BOARDS[name])) == []


def test_a_key_that_grafana_does_not_know_would_be_seen() -> None:
    board = json.loads(json.dumps(BOARDS["overview"]))
    board["panels"][0]["fieldConfig"]["defaults"]["unti"] = "s"
    board["panels"][0]["targets"][0]["expression"] = "up"
    board["panels"][0]["options"]["colourMode"] = "value"
    assert len(lost(board, round_trip(board))) == 3


@pytest.mark.parametrize("name", BOARDS)
def test_every_panel_has_its_unit_its_words_and_the_source_that_is_chosen(name: str) -> None:
    board = BOARDS[name]
    assert board["uid"] == f"ringfence-{name}"
    assert board["timezone"] == "utc"
    source, instance = board["templating"]["list"]
    assert (source["name"], source["type"], source["query"]) == (
        "datasource",
        "datasource",
        "prometheus",
    )
    assert instance["datasource"] == SOURCE
    panels = board["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert len({each["title"] for each in panels}) == len(panels)
    for each in panels:
        assert each["description"].endswith(".")
        assert each["datasource"] == SOURCE
        assert each["fieldConfig"]["defaults"]["unit"] in UNITS
        for target in each["targets"]:
            assert target["datasource"] == SOURCE
            names = set(NAME.findall(re.sub(r'"[^"]*"', "", target["expr"])))
            labels = {"process", "up"}
            assert names - labels <= shown_names() | {"ringfence_build_info"}, each["title"]
            assert "$instance" in target["expr"] or "ALERTS" in target["expr"]


@pytest.mark.parametrize("name", BOARDS)
def test_panels_lie_side_by_side_and_not_upon_one_another(name: str) -> None:
    taken: set[tuple[int, int]] = set()
    for each in BOARDS[name]["panels"]:
        place = each["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken, each["title"]
        assert all(x < 24 for x, _ in cells)
        taken |= cells


def test_what_is_provisioned_is_what_the_boards_name() -> None:
    provisioning = GRAFANA / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yml").read_text())[
        "datasources"
    ]
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "ringfence.yml").read_text())[
        "providers"
    ]
    assert source["uid"] == BOARDS["overview"]["templating"]["list"][0]["current"]["value"]
    assert source["type"] == "prometheus"
    assert provider["options"]["path"] == "/etc/grafana/dashboards"
