"""Names of scopes that nobody declares."""

import pytest

from review.mistakes.mistaken_sets import DESK, codes, policy
from ringfence.language.linking import link
from ringfence.language.source import load
from ringfence.review.mistakes import Context, containment, find_mistakes

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("scope", "found"),
    [
        ('{accounts: [alpha, "*"], symbols: ["BTC/*"]}', []),
        ("{accounts: [alpah]}", ["E420"]),
        ('{symbols: ["*/EUR"]}', ["E420"]),
        ("{exclude: {symbols: [BTC/USDT]}}", ["E420"]),
        ("{venues: [anywhere]}", []),
        ("{strategies: [take]}", ["E420"]),
        ("{exclude: {strategies: [taker, maker]}}", []),
        ("{exclude: {accounts: [alpha, beta]}}", ["E421"]),
        ('{accounts: [alpha], exclude: {accounts: ["a*"]}}', ["E421"]),
    ],
)
def test_names_of_a_scope_are_those_that_are_declared(scope: str, found: list[str]) -> None:
    gates = "    - {rule: order-notional@1, limits: {max: 200_000 USD}}\n"

    assert codes(policy(gates, scope)) == found


def test_without_declarations_no_name_is_wrong() -> None:
    text = policy("    - {rule: drawdown@1}\n", "{accounts: [anybody]}")
    alone = link([load(text, "policy.yaml")], check_mandatory=False)

    assert find_mistakes(Context(alone, 0)) == []


@pytest.mark.parametrize(
    ("symbols", "fx", "found"),
    [
        ("[SOL/GBP]", "", ["E425w"]),
        ('["SOL/*"]', "", ["E425w"]),
        ('["*"]', "", []),
        ("[BTC/USD]", "", []),
        ("[SOL/GBP]", "GBP/USD: 1.3, ", []),
    ],
)
def test_a_symbol_that_a_scope_names_can_be_valued(symbols: str, fx: str, found: list[str]) -> None:
    sol = DESK.splitlines()[-1].replace("ETH/USD", "SOL/GBP").replace("quote: USD", "quote: GBP")
    desk = f"{DESK}{sol}\n".replace("fx: {", f"fx: {{{fx}").replace("name: venue", "name: other")
    text = policy("    - {rule: kill-switch@1}\n", f"{{symbols: {symbols}}}")
    documents = [load(desk, "desk.yaml"), load(text, "policy.yaml")]

    mistakes = find_mistakes(Context(link(documents, check_mandatory=False), 0))

    assert [f"{each.code}{'w' * (each.severity == 'warning')}" for each in mistakes] == found


def test_scopes_that_lie_apart_are_not_compared_with_one_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = []
    within = containment.within
    monkeypatch.setattr(
        containment, "within", lambda *given: compared.append(given) or within(*given)
    )
    gate = "    - {rule: total-exposure@1, limits: {max: 1e6 USD}}\n"
    texts = [policy(gate, f"{{venues: [v{each}]}}", name=f"p-{each}") for each in range(60)]

    assert codes(*texts) == []
    assert len(compared) <= 60
