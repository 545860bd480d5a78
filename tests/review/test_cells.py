"""Cells: every order at every time lies in one, and faces there what it faces by itself."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.cells import Cell, cells

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
DAY = 86_400_000_000_000


def policy(name: str, scope: str, max_notional: int = 100, overrides: str = "") -> str:
    return f"""
apiVersion: ringfence/v1
kind: Policy
metadata: {{name: {name}, version: 1.0.0, owner: risk, description: a policy}}
spec:
  scope: {scope}
  currency: USDT
  gates:
    - rule: order-notional@1
      limits: {{max: {max_notional} USDT}}
{overrides}"""


INSTRUMENTS = """
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: instruments, version: 1.0.0, description: instruments}
spec:
  instruments:
    BTC/USDT: {lot_step: "%s", min_size: "1", tick_size: "1", multiplier: 1, base: BTC, quote: USDT}
    ETH/USDT: {lot_step: "1", min_size: "1", tick_size: "1", multiplier: 1, base: ETH, quote: USDT}
"""


def linked(*texts: str) -> LinkedSet:
    documents = [load(text.encode(), f"{at}.yaml") for at, text in enumerate(texts)]
    return link(documents, check_mandatory=False)


def keys(bindings: object) -> list[tuple[str, int]]:
    return sorted((bound.gate.label, id(row)) for bound, row in bindings)  # type: ignore[attr-defined]


globs = st.sampled_from(["a", "b", "a*", "*b", "?", "[ab]*"])
scopes = st.lists(st.tuples(globs, globs), min_size=1, max_size=3)


@settings(max_examples=100)
@given(scopes, st.sampled_from(["a", "b", "ab", "q", "axb"]), st.sampled_from(["a", "zb", ""]))
def test_an_order_faces_in_its_cell_what_it_faces_by_itself(
    given_scopes: list[tuple[str, str]], account: str, strategy: str
) -> None:
    window = """
      overrides: [{limits: {max: 200 USDT}, scope: {symbols: ["B*"]}, from: 1970-01-02, until: 1970-01-03}]"""
    one = linked(
        *(
            policy(f"p-{at}", f"{{accounts: ['{first}'], strategies: ['{second}']}}", 100, window)
            for at, (first, second) in enumerate(given_scopes)
        )
    )
    found = [keys(cell.bounds[0]) for cell in cells(one)]

    for symbol in ("BTC", "x"):
        for moment in (0, DAY, 2 * DAY):
            bounds = one.bind(account, strategy, "", symbol)
            own = keys((bound, bound.row_at(moment)) for bound in bounds)
            assert not own or own in found


def test_the_example_of_a_cell_faces_the_gates_of_the_cell() -> None:
    one = linked(policy("p", "{accounts: ['a*'], symbols: ['*/USDT']}"), policy("q", "{}"))

    for cell in cells(one):
        for symbol in cell.symbols:
            bounds = one.bind(cell.account, cell.strategy, cell.venue, symbol)
            assert [bound.gate for bound, _ in cell.bounds[0]] == [each.gate for each in bounds]


def changed(base: LinkedSet, head: LinkedSet) -> list[Cell]:
    return [cell for cell in cells(base, head) if cell.changed]


def test_only_the_cells_of_a_moved_limit_have_changed() -> None:
    names = [f"desk-{at}" for at in range(50)]
    base = [policy(name, f"{{accounts: [{name}]}}") for name in names]
    head = [*base[:-1], policy(names[-1], f"{{accounts: [{names[-1]}]}}", max_notional=200)]

    found = changed(linked(*base), linked(*head))

    assert {cell.account for cell in found} == {"desk-49"}


def test_a_gate_that_moved_to_another_policy_of_the_same_scope_has_not_changed() -> None:
    assert not changed(linked(policy("p", "{}")), linked(policy("q", "{}")))


def test_an_instrument_with_another_lot_step_changes_its_own_cells() -> None:
    scopes_of_two = [
        policy("p", "{symbols: [BTC/USDT]}"),
        policy("q", "{symbols: [ETH/USDT]}"),
    ]
    base = linked(*scopes_of_two, INSTRUMENTS % "0.001")
    head = linked(*scopes_of_two, INSTRUMENTS % "0.01")

    assert {cell.symbol for cell in changed(base, head)} == {"BTC/USDT"}


def test_an_override_that_ended_before_another_began_makes_one_cell_for_each_choice_of_limits() -> (
    None
):
    windows = """
      overrides:
        - {limits: {max: 200 USDT}, from: 1970-01-02, until: 1970-01-03}
        - {limits: {max: 300 USDT}, from: 1970-01-05, until: 1970-01-06}"""
    one = linked(policy("p", "{}", overrides=windows))

    found = {(cell.from_ns, cell.until_ns) for cell in cells(one) if cell.from_ns >= 0}

    assert found == {(DAY, 2 * DAY), (4 * DAY, 5 * DAY)}
    assert all(cell.from_ns <= cell.moment_ns < cell.until_ns for cell in cells(one))


def test_windows_that_have_ended_are_left_out_and_their_limits_stay_where_they_hold_later() -> None:
    window = """
      overrides: [{limits: {max: 200 USDT}, from: 1970-01-02, until: 1970-01-03}]"""
    one = linked(policy("p", "{}", overrides=window))

    assert [cell.from_ns for cell in cells(one, since_ns=3 * DAY)] == [2 * DAY]
    assert len(list(cells(one, since_ns=DAY))) == 2
