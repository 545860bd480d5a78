"""Each change's direction, and what the whole makes of it; the solver's answers are given here, as it would give them."""

from collections.abc import Callable
from typing import Any

import pytest

from review.plans import EDITS, SHIPPED, WITNESS, edited, linked
from ringfence.errors import InputError
from ringfence.language.gates import Gate
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review import directed_changes as module
from ringfence.review.directed_changes import Review, review_of
from ringfence.review.directions import Directed, Direction

pytestmark = pytest.mark.unit

INSTRUMENT = ("instruments.yaml", "min_notional: 5}", "min_notional: 50}")
UNIVERSE = ("instruments.yaml", "strategies: [taker]", "strategies: [taker, maker]")
VERSION = ("firm.yaml", "version: 1.0.0", "version: 1.0.1")
SCOPE = ("desk.yaml", "accounts: [alpha, beta]", "accounts: [alpha, bet?]")
DAY = ("firm.yaml", 'day: {time: "00:00"', 'day: {time: "12:00"')
GAMMA = tuple(
    (name, "accounts: [alpha, beta]", "accounts: [alpha, beta, gamma]")
    for name in ("desk.yaml", "instruments.yaml")
)
BOOKS = """apiVersion: ringfence/v1
kind: Policy
metadata: {name: books, version: 1.0.0, owner: risk@example.com, description: Exposure and marks.}
spec:
  currency: USDT
  gates:
    - {rule: total-exposure@1, limits: {max: 1_000 USDT}}
    - {rule: data-quality@1, mode: shadow, limits: {max_age: 1s}}
"""


def answer(direction: str, blame: str = "") -> Directed:
    way = Direction(direction)
    return Directed(
        way,
        WITNESS if way in (Direction.LOOSER, Direction.INCOMPARABLE) else None,
        WITNESS if way in (Direction.TIGHTER, Direction.INCOMPARABLE) else None,
        blame,
        never_looser=way in (Direction.TIGHTER, Direction.EQUAL),
        never_tighter=way in (Direction.LOOSER, Direction.EQUAL),
    )


@pytest.fixture
def reviewed(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Review]:
    def once(
        *edits: tuple[str, str, str], whole: str = "LOOSER", gates: dict[str, str] | str = "LOOSER"
    ) -> Review:
        def gate(base: Gate | None, head: Gate | None, *_: Any, **__: Any) -> Directed:
            name = (head or base).name  # type: ignore[union-attr]  # one of them is there
            way = gates if isinstance(gates, str) else gates.get(name, "EQUAL")
            return answer(way, f"{name} is too hard" if way == "UNKNOWN" else "")

        monkeypatch.setattr(module, "compare_gates", gate)
        monkeypatch.setattr(module, "compare_sets", lambda *_, **__: answer(whole))
        return review_of(linked(SHIPPED), linked(edited(*edits)))

    return once


def ways(review: Review) -> list[tuple[str, str, str]]:
    return [
        (each.change.policy, each.change.gate, each.directed.direction.value)
        for each in review.changes
    ]


def test_equal_sets_ask_no_solver(reviewed: Callable[..., Review]) -> None:
    found = reviewed(whole="LOOSER")

    assert (found.changes, found.whole.direction) == ((), Direction.EQUAL)


def test_a_version_decides_nothing_and_asks_no_solver(reviewed: Callable[..., Review]) -> None:
    assert ways(reviewed(VERSION, whole="EQUAL")) == [("firm", "", "EQUAL")]


@pytest.mark.parametrize(
    ("gates", "direction"),
    [
        ({}, "EQUAL"),
        ({"drawdown": "TIGHTER", "daily-loss": "TIGHTER"}, "TIGHTER"),
        ({"drawdown": "LOOSER"}, "LOOSER"),
        ({"drawdown": "LOOSER", "daily-loss": "TIGHTER"}, "INCOMPARABLE"),
        ({"drawdown": "LOOSER", "daily-loss": "INCOMPARABLE"}, "INCOMPARABLE"),
        ({"drawdown": "TIGHTER", "daily-loss": "UNKNOWN"}, "UNKNOWN"),
    ],
)
def test_a_policys_direction_is_that_of_all_its_gates(
    reviewed: Callable[..., Review], gates: dict[str, str], direction: str
) -> None:
    found = reviewed(SCOPE, whole="TIGHTER", gates=gates)

    assert ways(found) == [("desk", "", direction)]
    blame = "daily-loss is too hard" if direction == "UNKNOWN" else ""
    assert found.changes[0].directed.blame == blame


def test_a_trading_day_that_moves_is_not_known_to_be_equal_on_the_firms_level(
    reviewed: Callable[..., Review],
) -> None:
    found = reviewed(DAY, whole="UNKNOWN", gates={})

    assert ways(found) == [("firm", "", "UNKNOWN")]
    beside = reviewed(DAY, EDITS[0], whole="UNKNOWN", gates={"position-size": "TIGHTER"})
    assert ways(beside) == [("desk", "position-size", "TIGHTER"), ("firm", "", "UNKNOWN")]
    assert "the trading day starts at another time" in beside.changes[1].directed.blame
    assert "firm" in beside.changes[1].asked.levels


def test_a_policy_that_lets_an_account_trade_is_looser_though_its_gates_bind_more(
    reviewed: Callable[..., Review],
) -> None:
    found = reviewed(*GAMMA, whole="LOOSER", gates="TIGHTER")

    assert ways(found) == [("desk", "", "LOOSER"), ("", "", "EQUAL")]
    beside = reviewed(*GAMMA, EDITS[3], whole="INCOMPARABLE", gates="TIGHTER")
    assert ways(beside)[:2] == [("desk", "", "UNKNOWN"), ("firm", "total-exposure", "TIGHTER")]
    assert "orders that no policy took before" in beside.changes[0].directed.blame
    # More of the orders that were taken already.
    assert ways(reviewed(SCOPE, whole="TIGHTER", gates="TIGHTER")) == [("desk", "", "TIGHTER")]


def test_older_marks_that_count_are_looser_though_the_gate_that_asks_is_a_shadow() -> None:
    base = link([load(BOOKS, "books.yaml")], check_mandatory=False)
    edits = ("max_age: 1s", "max_age: 1m"), (
        "    - {rule: data-quality@1, mode: shadow, limits: {max_age: 1s}}\n",
        "",
    )

    for old, new in edits:
        head = link([load(BOOKS.replace(old, new), "books.yaml")], check_mandatory=False)
        found = review_of(base, head, check_mandatory=False)
        assert ways(found) == [("books", "data-quality", "LOOSER")]


@pytest.mark.parametrize("whole", ["LOOSER", "TIGHTER", "EQUAL", "UNKNOWN"])
def test_what_is_declared_beside_policies_alone_is_judged_with_the_whole(
    reviewed: Callable[..., Review], whole: str
) -> None:
    assert ways(reviewed(INSTRUMENT, whole=whole)) == [("", "", whole)]


def test_beside_limits_that_moved_it_cannot_be_told(reviewed: Callable[..., Review]) -> None:
    found = reviewed(INSTRUMENT, EDITS[0], whole="LOOSER")

    assert ways(found) == [("desk", "position-size", "LOOSER"), ("", "", "UNKNOWN")]
    assert "judged with the whole set" in found.changes[1].directed.blame
    assert ways(reviewed(UNIVERSE, EDITS[0], whole="LOOSER"))[1] == ("", "", "EQUAL")


def test_a_set_beyond_the_solver_is_unknown_and_says_why(
    reviewed: Callable[..., Review], monkeypatch: pytest.MonkeyPatch
) -> None:
    reviewed(EDITS[0])

    def beyond(*_: Any, **__: Any) -> Directed:
        raise InputError("the globs multiply one another", "use fewer")

    monkeypatch.setattr(module, "compare_gates", beyond)
    monkeypatch.setattr(module, "compare_sets", beyond)
    found = review_of(linked(SHIPPED), linked(edited(EDITS[0])))

    assert ways(found) == [("desk", "position-size", "UNKNOWN")]
    assert found.whole.blame == "the globs multiply one another"


def test_what_binds_still_is_named_where_the_witness_shows_it(
    reviewed: Callable[..., Review],
) -> None:
    alone = reviewed(EDITS[0], whole="EQUAL", gates="LOOSER")

    # The order of this witness meets no price: gates of the desk hold it back.
    assert "nothing passes that did not before" in alone.changes[0].still
    assert reviewed(EDITS[0], whole="LOOSER", gates="LOOSER").changes[0].still == ""
    assert reviewed(EDITS[0], whole="EQUAL", gates="TIGHTER").changes[0].still == ""


DEEP = "limits: {max_drawdown: 10%}"
HALTS = ("desk.yaml", DEEP, f"{DEEP}\n      on_breach: halt")
WAITS = ("desk.yaml", DEEP, f"{DEEP}\n      on_breach: halt\n      confirm_ticks: 3")


@pytest.mark.parametrize(
    ("base", "head", "direction", "told"),
    [
        ((), (HALTS,), "TIGHTER", "`drawdown` halts its book"),
        ((HALTS,), (), "LOOSER", "`drawdown` halts its book no more"),
        ((HALTS,), (WAITS,), "LOOSER", "`drawdown` halts its book at tick 3, and did at 1"),
        ((WAITS,), (HALTS,), "TIGHTER", "`drawdown` halts its book at tick 1, and did at 3"),
    ],
)
def test_who_halts_less_is_looser_though_each_order_gets_what_it_got(
    base: tuple[Any, ...], head: tuple[Any, ...], direction: str, told: str
) -> None:
    found = review_of(*(linked(edited(*each) if each else SHIPPED) for each in (base, head)))

    assert ways(found) == [("desk", "drawdown", direction)]
    assert found.whole.direction.value == direction
    assert found.changes[0].directed.halts == (told,)
    assert found.whole.never_looser == (direction == "TIGHTER")
    assert found.whole.never_tighter == (direction == "LOOSER")


def test_a_halting_gate_that_goes_to_another_policy_halts_as_it_did() -> None:
    halting = "    - {rule: drawdown@1, on_breach: halt}\n"
    orders = BOOKS.replace("name: books", "name: orders").replace("max: 1_000", "max: 9_000")

    def both(books: str, others: str) -> LinkedSet:
        return link([load(books, "books.yaml"), load(others, "orders.yaml")], check_mandatory=False)

    base = both(BOOKS + halting, orders)

    moved = review_of(base, both(BOOKS, orders + halting), check_mandatory=False)
    assert (moved.whole.direction, moved.whole.halts) == (Direction.EQUAL, ())
    assert ("books", "drawdown", "LOOSER") in ways(moved)
    narrower = orders.replace("spec:\n", "spec:\n  scope: {accounts: [alpha]}\n")
    less = review_of(base, both(BOOKS, narrower + halting), check_mandatory=False)
    assert "`drawdown` halts its book no more" in less.whole.halts
    assert not less.whole.never_looser


def test_a_book_that_is_halted_later_is_looser_though_another_gate_rejects_the_order() -> None:
    strict = f"{DEEP}\n    - {{rule: drawdown@1, name: floor, limits: {{max_drawdown: 5%}}}}"
    halting = strict.replace(DEEP, f"{DEEP}\n      on_breach: halt", 1)
    base, head = (
        linked(edited(("desk.yaml", DEEP, halting.replace("10%", limit, 1))))
        for limit in ("10%", "15%")
    )

    found = review_of(base, head)

    assert ways(found) == [("desk", "drawdown", "LOOSER")]
    assert found.whole.direction.value == "LOOSER"
    assert found.whole.halts == ("`drawdown` halts its book later",)
    assert found.changes[0].still == ""
