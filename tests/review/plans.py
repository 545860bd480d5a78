"""Plans made by hand, for tests of how they are shown."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from ringfence.language.decision import Decision, GateResult, Outcome, RiskDecision
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.approval_rules import DEFAULT_RULES
from ringfence.review.directed_changes import DirectedChange, Review
from ringfence.review.directions import Directed, Direction, Witness
from ringfence.review.limit_changes import limit_changes
from ringfence.review.plan import Given, Side, make_plan
from ringfence.runtime.ports import FixedClock

ROOT = Path(__file__).parents[2]
NOON = 1_767_614_400_000_000_000
SCHEMA = json.loads((ROOT / "schemas" / "plan.v1.schema.json").read_text("utf-8"))
SHIPPED = {
    path.name: path.read_text("utf-8") for path in sorted((ROOT / "policies").glob("*.yaml"))
}
LIMITS = "      limits: {max: 4_000_000 USDT, max_of_equity: 95%}\n"
# The desk as it is shipped, and an override.
SHIPPED["desk.yaml"] = SHIPPED["desk.yaml"].replace(
    LIMITS,
    f"""{LIMITS}      overrides:
        - limits: {{max: 4_500_000 USDT}}
          scope: {{accounts: [alpha]}}
          from: 2026-02-02T08:00:00Z
          until: 2026-02-06T20:00:00Z
          ticket: RISK-142
          reason: Holds two positions for a week.
""",
)
EDITS = (
    ("desk.yaml", "{max: 1_500_000 USDT", "{max: 2_250_000 USDT"),
    ("desk.yaml", "limits: {max: 200_000 USDT}", "limits: {max: 150_000 USDT}"),
    ("desk.yaml", "until: 2026-02-06", "until: 2026-02-08"),
    ("firm.yaml", "{max: 8_000_000 USDT", "{max: 9_000_000 USDT"),
)


def linked(files: dict[str, str], prefix: str = "") -> LinkedSet:
    return link([load(text, f"{prefix}policies/{name}") for name, text in files.items()])


def edited(*edits: tuple[str, str, str]) -> dict[str, str]:
    files = dict(SHIPPED)
    for name, old, new in edits:
        assert old in files[name]
        files[name] = files[name].replace(old, new, 1)
    return files


def answer(decision: RiskDecision, reason: str = "") -> Decision:
    gate = GateResult(
        "total-exposure", "total-exposure@1.0.0", "desk@1.0.0", "account", "enforce", Outcome.BREACH,
        "money", 2.0, 1.0, -1.0, "USDT", Decimal(0), reason, None,
    )  # fmt: skip
    gates = () if decision is RiskDecision.APPROVE else (gate,)
    size = Decimal("0.4") if decision is RiskDecision.REDUCE_SIZE else Decimal(1)
    return Decision(decision, reason, size, "", gates, "0" * 64)


WITNESS = Witness(
    given={
        "clock": "2026-01-05T12:00:00Z",
        "market": {"BTC/USDT": {"bid": 50000, "ask": float("nan")}, "ETH/USDT": {}},
        "books": {
            "account/alpha": {
                "equity": 100000,
                "positions": {"ETH/USDT": {"size": "-4", "mark": 2000}},
                "working": [{"side": "buy", "size": "1", "symbol": "ETH/USDT"}],
            },
            "firm": {},
        },
    },
    when={"account": "alpha", "strategy": "taker", "symbol": "BTC/USDT", "side": "buy", "type": "stop",
          "size": "1", "price": "50000"},
    base=answer(RiskDecision.REDUCE_SIZE, "total exposure is above its limit"),
    head=answer(RiskDecision.APPROVE),
)  # fmt: skip


def directed(direction: str, blame: str = "") -> Directed:
    way = Direction(direction)
    return Directed(
        way,
        WITNESS if way is Direction.LOOSER else None,
        None,
        blame,
        never_looser=way in (Direction.TIGHTER, Direction.EQUAL),
        never_tighter=way in (Direction.LOOSER, Direction.EQUAL),
    )


def plan(
    head: dict[str, str],
    directions: list[str],
    whole: str,
    *,
    base: dict[str, str] = SHIPPED,
    still: str = "",
    blame: str = "",
    dry_run: dict[str, Any] | None = None,
    given: Given | None = None,
) -> dict[str, Any]:
    """A plan whose directions are as given, change after change; the last one goes on."""
    sides = linked(base, "main:"), linked(head)
    changes = limit_changes(*sides)
    ways = directions + directions[-1:] * len(changes)
    review = Review(
        tuple(
            DirectedChange(each, directed(way, blame if way == "UNKNOWN" else ""), still)
            for each, way in zip(changes, ways, strict=False)
        ),
        directed(whole, blame),
    )
    return make_plan(
        Side(sides[0], "git:main:policies", "1" * 40),
        Side(sides[1], "policies"),
        given or Given(DEFAULT_RULES, authors=("ben@example.com",)),
        dry_run,
        review=review,
        clock=FixedClock(NOON),
    )


def usual(**more: Any) -> dict[str, Any]:
    """Two limits raised, one lowered, one window longer."""
    return plan(edited(*EDITS), ["LOOSER", "TIGHTER", "EQUAL", "LOOSER"], "LOOSER", **more)
