"""The public surface is a list, and importing it is cheap."""

import builtins
import re
import subprocess
import sys

import pytest

import ringfence
from ringfence import CentralRiskGuard, PolicySet

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
        "AuditError",
        "CentralRiskGuard",
        "GuardSettings",
        "InputError",
        "LedgerError",
        "MarketData",
        "OrderRequest",
        "PolicyError",
        "PolicySet",
        "RingfenceError",
        "RiskDecision",
        "StateError",
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


PUBLIC = [
    PolicySet.load,
    PolicySet.from_files,
    PolicySet.evaluate,
    *(
        each
        for name in dir(CentralRiskGuard)
        if not name.startswith("_") and callable(each := getattr(CentralRiskGuard, name))
    ),
]


@pytest.mark.parametrize("call", PUBLIC, ids=lambda each: getattr(each, "__name__", "call"))
def test_what_a_public_call_raises_can_be_caught_by_its_name(call):
    _, _, raised = (call.__doc__ or "").partition("Raises:")
    for name in re.findall(r"(?:^ +|, )([A-Z]\w*Error)\b(?=[^\n]*:)", raised, re.MULTILINE):
        assert name in ringfence.__all__ or hasattr(builtins, name)


def test_a_missing_path_is_an_error_that_has_a_public_name():
    with pytest.raises(ringfence.InputError, match="does not exist"):
        ringfence.PolicySet.load("no-such-directory")
    assert issubclass(ringfence.InputError, ringfence.RingfenceError)
    assert issubclass(ringfence.PolicyError, ringfence.RingfenceError)
