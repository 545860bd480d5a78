"""The public surface is a list, and importing it is cheap."""

import subprocess
import sys

import pytest

import ringfence

pytestmark = pytest.mark.unit

HEAVY = ("ccxt", "duckdb", "llvmlite", "numba", "numpy", "pyarrow")


def modules_after(statement: str) -> set[str]:
    """Names of the top-level modules a fresh interpreter holds after `statement`."""
    script = f"import sys; {statement}; print(*{{name.split('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_the_public_list_is_sorted_and_is_what_the_package_shows():
    assert ringfence.__all__ == sorted(ringfence.__all__)
    assert dir(ringfence) == ringfence.__all__
    assert set(ringfence.__all__) == {
        "CentralRiskGuard",
        "GuardSettings",
        "MarketData",
        "OrderRequest",
        "PolicyError",
        "PolicySet",
        "RiskDecision",
        "VenueSnapshot",
        "__version__",
    }


@pytest.mark.parametrize("name", [n for n in ringfence.__all__ if n != "__version__"])
def test_each_public_name_is_a_documented_class(name):
    value = getattr(ringfence, name)

    assert isinstance(value, type)
    assert value.__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'Policies'"):
        _ = ringfence.Policies


@pytest.mark.parametrize(
    "statement",
    [
        "import ringfence",
        "from ringfence import PolicySet, OrderRequest, RiskDecision, PolicyError",
        "import ringfence.cli.main",
        "import ringfence.gateway",
    ],
)
def test_heavy_libraries_are_not_imported_at_start(statement):
    assert modules_after(statement).isdisjoint(HEAVY)
