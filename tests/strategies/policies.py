"""Policy sets that bind rules: scopes, levels, modes, limits, overrides with windows."""

from collections.abc import Mapping, Sequence
from typing import Any

from hypothesis import strategies as st

from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.linking import LinkedSet, link
from ringfence.language.rule_library import load_rule_library
from ringfence.language.rules import Rule, walk
from ringfence.language.source import Document
from strategies.choosing import Chooser, Drawn, Seeded
from strategies.rules import document_of, read_pool

__all__ = ["ACCOUNTS", "MOMENTS", "STRATEGIES", "SYMBOLS", "VENUES", "policy_sets"]

ACCOUNTS = ("alpha", "beta")
STRATEGIES = ("taker", "maker", "")
VENUES = ("kraken", "binance", "")
SYMBOLS = ("BTC/USD", "ETH/USD", "SOL/EUR", "XRP/USD")
MOMENTS = (
    "2026-01-01T00:00:00Z",
    "2026-01-05T12:00:00Z",
    "2026-01-05T12:00:01Z",
    "2026-02-01T00:00:00Z",
)
LEVELS = ("account", "strategy", "firm")
# Limits at which books and orders of `cases` often sit exactly.
VALUES: dict[str, tuple[str, ...]] = {
    "money": (
        *("100_000 USD", "1_000_000 USD", "10_000 USD", "10_000 USD", "20_000 USD", "1_000 USD"),
        *("5_000 USD", "20_000 USD", "268.84 USD", "0 USD", "5_000 EUR", "1e15 USD"),
    ),
    "quantity": ("1_000", "100", "10", "10", "1", "0.5", "0", "1e15", "0.0001"),
    "price": ("100_000", "1_000_000", "100", "50_000", "0.611", "0", "1e12"),
    "ratio": ("50%", "95%", "100%", "10%", "10%", "20%", "5%", "250 bps", "0%", "1 bp"),
    "multiple": ("2x", "1x", "3x", "0x", "0.5x", "1000%"),
    "count": ("3", "10", "100", "5", "2", "1", "0"),
    "duration": ("5s", "60s", "1h", "1s", "500ms", "0s", "1d"),
}
LISTS: dict[str, tuple[Any, ...]] = {
    "required": (["bid", "ask"], ["last"], ["bid", "ask", "last"], ["mark"]),
    "allow": (["*"], ["*/USD"], ["BTC/USD"], []),
    "deny": ([], ["XRP/*"], ["SOL/EUR", "BTC/*"]),
}
_BITCOIN = {
    "lot_step": "0.1",
    "min_size": "0.1",
    "tick_size": "0.1",
    "multiplier": 1,
    "base": "BTC",
    "quote": "USD",
}
DESK = {
    "apiVersion": "ringfence/v1",
    "kind": "Instruments",
    "metadata": {"name": "desk", "version": "1.0.0", "description": "Rates."},
    "spec": {"instruments": {"BTC/USD": _BITCOIN}, "fx": {"EUR/USD": "1.25"}},
}


@st.composite
def policy_sets(
    draw: Any,
    rules: Sequence[Document],
    *,
    library: bool = True,
    shape: int | None = None,
) -> LinkedSet:
    """Policies that bind some of `rules`, and rules of the library.

    Args:
        rules: Rule documents, as `rule_pools` gives them.
        library: Whether the library's rules are bound as well.
        shape: A seed that fixes the structure (gates, levels, modes, what a breach does, number of
            overrides), so that draws differ in data alone: limits, scopes, windows.
    """
    data = Drawn(draw)
    structure: Chooser = data if shape is None else Seeded(shape)
    known = [*read_pool(list(rules)), *(load_rule_library() if library else ())]
    # Gates that reduce are rare among all that there are, and what they do is the hardest part.
    reducing = [rule for rule in known if rule.can_reduce and _moves(rule)]
    aimed = bool(reducing) and structure.chance(80)
    sizes = (1, 1, 2, 3) if aimed else (1, 2, 3, 5)
    bound = [structure.pick(reducing if aimed else known) for _ in range(structure.pick(sizes))]
    documents = [document_of(DESK, "desk.yaml"), *rules]
    policies = 1 + structure.chance(30)
    for number in range(policies):
        part = bound[number::policies] or bound[:1]
        gates = [_gate(structure, data, rule, f"gate-{place}") for place, rule in enumerate(part)]
        spec: dict[str, Any] = {"gates": gates}
        if number == 0:
            spec["currency"] = "USD"
        if structure.chance(30):
            spec["level"] = structure.pick(LEVELS)
        if number and data.chance(50):
            spec["scope"] = _scope(data)
        documents.append(document_of(_policy(f"policy-{number}", spec), f"policy-{number}.yaml"))
    return link(documents, check_mandatory=False)


def _moves(rule: Rule) -> bool:
    """Whether some check rises with the order's size; a count only jumps."""
    return any(
        isinstance(node, ir.Field) and FIELDS[node.name].rises and node.unit.kind != "count"
        for check in rule.checks
        for node in walk(check.measure)
    )


def _policy(name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "apiVersion": "ringfence/v1",
        "kind": "Policy",
        "metadata": {
            "name": name,
            "version": "1.0.0",
            "owner": "risk",
            "description": "A generated policy.",
        },
        "spec": dict(spec),
    }


def _gate(structure: Chooser, data: Chooser, rule: Rule, name: str) -> dict[str, Any]:
    gate: dict[str, Any] = {"rule": f"{rule.name}@1", "name": name}
    if structure.chance(40):
        gate["level"] = structure.pick(LEVELS)
    if structure.chance(20):
        gate["mode"] = "shadow"
    if structure.chance(70):
        gate["on_breach"] = "reduce" if rule.can_reduce else "reject"
    if structure.chance(25):
        gate["applies_to"] = structure.pick(("risk_increasing", "all"))
    limits = _limits(data, rule, every=80)
    if limits:
        gate["limits"] = limits
    overrides = [_override(data, rule) for _ in range(structure.chance(30) + structure.chance(10))]
    if overrides := [each for each in overrides if each["limits"]]:
        gate["overrides"] = overrides
    return gate


def _limits(data: Chooser, rule: Rule, every: int) -> dict[str, Any]:
    """Values for some of a rule's parameters, all that are required among them."""
    limits: dict[str, Any] = {}
    for name, parameter in rule.parameters.parameters.items():
        wanted = every if parameter.limit or parameter.default is None else 20
        if not (parameter.required or data.chance(wanted)):
            continue
        if parameter.type == "choice":
            limits[name] = data.pick(parameter.allowed)
        elif parameter.type in ("choices", "globs"):
            limits[name] = data.pick(LISTS[name])
        elif parameter.type == "money" and parameter.currency:
            limits[name] = data.pick(("1_000 EUR", "500 EUR", "0 EUR"))
        else:
            # Every second value is a wide one: otherwise some gate of several nearly always blocks.
            values = VALUES[parameter.type]
            limits[name] = values[0] if data.chance(20) else data.pick(values)
    named = [each for each in rule.parameters.parameters.values() if each.limit]
    if named and not any(each.name in limits for each in named) and not data.chance(15):
        given = data.pick(named)
        limits[given.name] = data.pick(VALUES[given.type])
    allowed = rule.parameters.parameters.get("required")
    if "required" in limits and allowed is not None:
        limits["required"] = [each for each in limits["required"] if each in allowed.allowed]
        if not limits["required"]:
            del limits["required"]
    return limits


def _override(data: Chooser, rule: Rule) -> dict[str, Any]:
    override: dict[str, Any] = {"limits": _limits(data, rule, every=60), "ticket": "RISK-1"}
    start = data.whole(-1, len(MOMENTS) - 2)
    end = data.whole(max(start, 0) + 1, len(MOMENTS))
    if start >= 0:
        override["from"] = MOMENTS[start]
    if end < len(MOMENTS):
        override["until"] = MOMENTS[end]
    if data.chance(50):
        override["scope"] = _scope(data)
    return override


def _scope(data: Chooser) -> dict[str, Any]:
    scope: dict[str, Any] = {}
    for key, names, globs in (
        ("accounts", ACCOUNTS, ("a*",)),
        ("strategies", STRATEGIES[:2], ("?aker",)),
        ("venues", VENUES[:2], ("k*",)),
        ("symbols", SYMBOLS, ("*/USD", "[BE]*")),
    ):
        if data.chance(25):
            scope[key] = data.some((*names, *globs), 1, 2)
    if data.chance(20):
        scope["exclude"] = {"symbols": [data.pick(SYMBOLS)]}
    return scope or {"accounts": ["*"]}
