"""Small policy sets, and the codes of the mistakes that are found in them."""

from ringfence.language.gates import to_ns
from ringfence.language.linking import LinkedSet, link
from ringfence.language.source import load
from ringfence.review.mistakes import Context, Settings, find_mistakes

DESK = """\
apiVersion: ringfence/v1
kind: Instruments
metadata: {name: venue, version: 1.0.0}
spec:
  accounts: [alpha, beta]
  strategies: [taker, maker]
  fx: {EUR/USD: 1.25}
  instruments:
    BTC/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.1", multiplier: 1, base: BTC, quote: USD}
    ETH/USD: {lot_step: "0.1", min_size: "0.1", tick_size: "0.1", multiplier: 1, base: ETH, quote: USD}
"""


def policy(gates: str, scope: str = "", version: str = "1.0.0", name: str = "desk") -> str:
    metadata = f"name: {name}, version: {version}, owner: risk, description: a policy"
    given = f"  scope: {scope}\n" if scope else ""
    return (
        f"apiVersion: ringfence/v1\nkind: Policy\nmetadata: {{{metadata}}}\n"
        f"spec:\n  currency: USD\n{given}  gates:\n{gates}"
    )


def linked(*texts: str) -> LinkedSet:
    documents = [load(text, f"{number}.yaml") for number, text in enumerate((DESK, *texts))]
    return link(documents, check_mandatory=False)


def codes(
    *texts: str,
    before: str | None = None,
    now: str = "2026-01-15T12:00:00Z",
    settings: Settings | None = None,
) -> list[str]:
    """The codes found, in order; warnings with a `w`."""
    previous = linked(before) if before is not None else None
    context = Context(linked(*texts), to_ns(now), previous, settings or Settings())
    return [f"{each.code}{'w' * (each.severity == 'warning')}" for each in find_mistakes(context)]


def notional(limit: str, more: str = "", version: str = "1.0.0") -> str:
    return policy(
        f"    - rule: order-notional@1\n      limits: {{max: {limit}}}\n{more}", version=version
    )


def acknowledged(name: str, was: str, now: str, reason: str = "so agreed") -> str:
    return (
        "      acknowledge:\n"
        f"        - {{limit: {name}, from: {was}, to: {now}, reason: {reason}}}\n"
    )


def override(lines: str, limit: str = "300_000 USD") -> str:
    rest = "".join(f"          {line}\n" for line in lines.split("; ") if line)
    return notional(
        "200_000 USD", f"      overrides:\n        - limits: {{max: {limit}}}\n{rest}", "1.1.0"
    )


WEEK = "from: 2026-02-02; until: 2026-02-06"
