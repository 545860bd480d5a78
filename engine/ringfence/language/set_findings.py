"""What can be wrong with a policy set as a whole, each of whose files is sound."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ringfence.errors import Diagnostic
from ringfence.language.gates import LimitRow, Policy
from ringfence.language.instruments import Desk, convert
from ringfence.language.parameters import Money

if TYPE_CHECKING:
    from ringfence.language.linking import LinkedSet

__all__ = [
    "MANDATORY",
    "amounts_without_rate",
    "currency_of",
    "lacking_mandatory",
    "other_currencies",
    "policy_findings",
]

#: The rules whose gates every tradable account and symbol must face.
MANDATORY = (
    "kill-switch",
    "data-quality",
    "daily-loss",
    "drawdown",
    "position-count",
    "total-exposure",
    "position-size",
    "correlated-exposure",
)


def policy_findings(policies: Sequence[Policy]) -> list[Diagnostic]:
    """Two policies of one name (`E302`), and two starts of the trading day (`E303`)."""
    found: list[Diagnostic] = []
    names: dict[str, Policy] = {}
    day: Policy | None = None
    for policy in policies:
        if policy.name and policy.name in names:
            span = policy.document.span("metadata", "name")
            first = names[policy.name].document.span("metadata", "name")
            found.append(
                Diagnostic(
                    "E302",
                    f"two policies are called `{policy.name}`",
                    span,
                    why=f"the other one stands at {first}",
                    fix="rename one of them",
                    related=(first,),
                )
            )
        names.setdefault(policy.name, policy)
        if policy.day is None:
            continue
        if day is not None and day.day != policy.day:
            other = day.document.span("spec", "day")
            found.append(
                Diagnostic(
                    "E303",
                    "the trading day starts at two different times in one policy set",
                    policy.document.span("spec", "day"),
                    why=f"{other} says {' '.join(day.day or ())}; a book has one day",
                    fix="give the day in one policy only",
                    related=(other,),
                )
            )
        day = day or policy
    return found


def currency_of(policies: Sequence[Policy]) -> str:
    """The set's currency: declared, or that of its first money limit."""
    declared = (policy.currency for policy in policies if policy.currency)
    return next(declared, "") or next((money.currency for _, _, money in _amounts(policies)), "")


def _amounts(policies: Sequence[Policy]) -> Iterator[tuple[LimitRow, str, Money]]:
    for policy in policies:
        for gate in policy.gates:
            for row in gate.rows:
                for name, value in row.values.items():
                    if isinstance(value, Money):
                        yield row, name, value


def other_currencies(policies: Sequence[Policy], currency: str) -> Iterator[Diagnostic]:
    """Policies that declare another currency than the set's (`E306`)."""
    declared = [policy for policy in policies if policy.currency]
    for policy in declared:
        if policy.currency != currency:
            yield Diagnostic(
                "E306",
                f"this policy counts in {policy.currency}, `{declared[0].name}` in {currency}",
                policy.document.span("spec", "currency"),
                why="all books of one policy set are kept in one currency",
                fix=f"use {currency}; limits in other currencies are converted by a declared FX rate",
            )


def amounts_without_rate(
    policies: Sequence[Policy], currency: str, desk: Desk
) -> Iterator[Diagnostic]:
    """Limits in a currency from which no rate leads to the set's (`E213`)."""
    for row, name, value in _amounts(policies):
        if convert(desk.fx, value.currency, currency) is None:
            yield Diagnostic(
                "E213",
                f"`{value.currency}` and `{currency}` do not add up",
                row.spans.get(name, row.span),
                why=f"no FX rate between {value.currency} and {currency} is declared",
                fix=f"give the limit in {currency}, or declare `fx: "
                f"{{{value.currency}/{currency}: ...}}` in the instruments file",
            )


def lacking_mandatory(linked: "LinkedSet") -> list[Diagnostic]:
    """Mandatory gates that some tradable (account, symbol) does not face, enforced (`E301`)."""
    universe = [
        linked.desk.accounts or _named(linked, 0),
        linked.desk.strategies or ("",),
        linked.desk.venues or ("",),
        tuple(linked.desk.instruments) or _named(linked, 3),
    ]
    classes = []
    for dimension, names in enumerate(universe):
        by_mask: dict[int, str] = {}
        for name in names:
            by_mask.setdefault(linked.mask(dimension, name), name)
        classes.append(by_mask)
    lacking: dict[str, list[tuple[str, str]]] = {}
    for account_mask, account in classes[0].items():
        for strategy_mask in classes[1]:
            for venue_mask in classes[2]:
                for symbol_mask, symbol in classes[3].items():
                    masks = (account_mask, strategy_mask, venue_mask, symbol_mask)
                    enforced = {
                        bound.gate.rule.name
                        for bound in linked.bind_masks(masks)
                        if bound.gate.mode == "enforce"
                    }
                    for name in MANDATORY:
                        pair = (account, symbol)
                        if name not in enforced and pair not in lacking.setdefault(name, []):
                            lacking[name].append(pair)
    first = linked.policies[0].document
    return [
        Diagnostic(
            "E301",
            f"mandatory gate `{name}` is missing for {_pairs(pairs)}",
            first.key_span("spec", "gates"),
            why="an order that lacks one of the eight mandatory gates would never be approved",
            fix=f"add `- {{rule: {name}@1}}` to a policy whose scope holds them",
        )
        for name, pairs in lacking.items()
        if pairs
    ]


def _named(linked: "LinkedSet", dimension: int) -> tuple[str, ...]:
    """Names that the scopes speak of, globs made into an example of themselves."""
    names: list[str] = []
    for policy in linked.policies:
        included, _ = policy.scope.parts(dimension)
        names.extend(glob.replace("*", "x").replace("?", "x") for glob in included if glob != "*")
    return tuple(dict.fromkeys(names)) or ("any",)


def _pairs(pairs: Sequence[tuple[str, str]]) -> str:
    shown = ", ".join(f"account `{account}` symbol `{symbol}`" for account, symbol in pairs[:3])
    return shown + (f" and {len(pairs) - 3} more" if len(pairs) > 3 else "")
