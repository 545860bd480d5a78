"""What Prometheus reads: complete, declared, and in its own terms."""

import re
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest
from litestar.testing import TestClient
from prometheus_client.openmetrics.parser import text_string_to_metric_families
from prometheus_client.parser import text_string_to_metric_families as plain_families

from ringfence.runtime.metric_table import METRICS
from ringfence.service.desk import Desk
from ringfence.service.exposition import make_metrics_app, metrics_app
from ringfence.service.process_metrics import ProcessMetrics

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scraped(desk: Desk, client: TestClient, bearer) -> str:
    """The metrics of a desk that has answered something."""
    client.get("/v1/no-such-route")
    client.post("/v1/evaluate", json={"account": "alpha"}, headers=bearer("trader", "alpha"))
    with TestClient(make_metrics_app(desk)) as asking:
        answer = asking.get("/metrics")
    assert answer.status_code == 200
    return answer.text


def test_every_metric_is_declared_and_described(scraped: str) -> None:
    page = (ROOT / "docs" / "reference" / "metrics.md").read_text(encoding="utf-8")
    found = list(plain_families(scraped))
    assert len(found) > 40
    (failed,) = (each for each in found if each.name == "ringfence_metric_source_errors")
    # At zero, and there: what begins with its first error shows no rise.
    assert {each.value for each in failed.samples} == {0.0}
    for family in found:
        declared = METRICS[family.name]
        assert family.documentation == declared.help
        assert family.type == declared.kind, family.name
        name = f"{family.name}_total" if declared.kind == "counter" else family.name
        assert f"| `{name}` |" in page
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(declared.labels), sample


def test_what_parts_tell_that_are_not_open_here_is_declared_too() -> None:
    told = {
        name
        for path in (ROOT / "engine").rglob("*.py")
        for name in re.findall(r'\b(?:metric|one)\(\s*"([a-z_]+)"', path.read_text("utf-8"))
    }
    assert len(told) > 50
    assert told <= METRICS.keys()


def test_names_and_units_are_as_prometheus_asks() -> None:
    for each in METRICS.values():
        assert re.fullmatch(r"(ringfence|process|python)(_[a-z]+)+", each.name)
        assert not each.name.endswith(("_total", "_count", "_sum", "_bucket", "_milliseconds"))
        assert each.help.endswith(".")
        assert each.help[0].isupper() or each.help[0].isdigit()
        assert each.kind != "histogram" or each.name.endswith("_seconds")
        assert list(each.labels) == sorted(each.labels)
        assert "worker" not in each.labels


@pytest.mark.needs("promtool", "prometheus")
def test_promtool_has_nothing_to_say(scraped: str) -> None:
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=scraped, capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_evaluations_are_counted_by_what_they_took_from_a_microsecond_on(scraped: str) -> None:
    bounds = [float(each) for each in re.findall(r'decision_seconds_bucket{le="([^"]*)"', scraped)]
    assert bounds[0] < 1.1e-6
    assert sum(1e-6 <= each <= 0.1 for each in bounds) >= 17
    # Each bucket is at most twice as wide as the one before: a quantile is off by no more than that.
    assert all(high / low < 2.01 for low, high in pairwise(bounds[:-1]))


def test_requests_are_told_by_route_and_never_by_path(scraped: str) -> None:
    found = re.findall(r"^ringfence_api_request_seconds_count{(.*)} (\S+)$", scraped, re.MULTILINE)
    routes = dict(found)
    assert 'method="POST",route="/v1/evaluate",status="4xx"' in routes
    assert 'method="GET",route="none",status="4xx"' in routes
    assert "no-such-route" not in scraped
    assert "ringfence_api_requests_running 0.0" in scraped


def test_a_method_that_nobody_knows_makes_no_new_series(desk: Desk, client: TestClient) -> None:
    client.request("BREW", "/v1/evaluate")
    with TestClient(make_metrics_app(desk)) as asking:
        assert 'method="other"' in asking.get("/metrics").text


def test_openmetrics_and_compression_are_spoken_too(desk: Desk) -> None:
    with TestClient(make_metrics_app(desk)) as asking:
        answer = asking.get(
            "/metrics",
            headers={
                "accept": "application/openmetrics-text; version=1.0.0",
                "accept-encoding": "gzip",
            },
        )
        assert answer.headers["content-type"].startswith("application/openmetrics-text")
        assert answer.headers["content-encoding"] == "gzip"
        families = {each.name for each in text_string_to_metric_families(answer.text)}
        assert {"ringfence_decisions", "process_cpu_seconds"} <= families
        assert asking.get("/other").status_code == 404
        assert asking.post("/metrics").status_code == 405


def test_a_part_that_fails_is_told_of_beside_the_others() -> None:
    class Broken:
        def metrics(self):
            raise OSError

    with TestClient(metrics_app([Broken(), ProcessMetrics()])) as asking:
        text = asking.get("/metrics").text
    assert 'ringfence_metric_source_errors_total{source="Broken"} 1.0' in text
    assert "process_open_fds " in text


@pytest.mark.parametrize(
    ("memory", "cpu", "bytes_", "cores"),
    [
        ("104857600\n", "50000 100000\n", 104857600, 0.5),
        ("max\n", "max 100000\n", None, None),
        (None, None, None, None),
        ("nonsense here\n", "1\n", None, None),
    ],
)
def test_limits_are_those_of_the_container_or_of_the_machine(
    memory, cpu, bytes_, cores, tmp_path: Path
) -> None:
    for name, text in (("memory.max", memory), ("cpu.max", cpu)):
        if text is not None:
            (tmp_path / name).write_text(text)

    found = {each.name: each for each in ProcessMetrics(tmp_path).metrics()}
    machine = {each.name: each for each in ProcessMetrics(tmp_path / "none").metrics()}

    for name, value in (("memory_limit_bytes", bytes_), ("cpu_limit_cores", cores)):
        (sample,) = found[f"ringfence_{name}"].samples
        (most,) = machine[f"ringfence_{name}"].samples
        assert sample.value == (most.value if value is None else value)
        assert sample.value > 0
