"""Policy sets for the benchmarks, written as YAML: the eight mandatory gates, over one or many policies."""

import shutil
from itertools import combinations
from pathlib import Path

from benchmarks.generate import STRATEGIES, VENUES, account_name
from benchmarks.market import SYMBOLS, related

__all__ = ["EQUITY", "WIDE", "nested_directory", "policy_directory", "wide_directory"]

#: What each account opens with.
EQUITY = 1_000_000.0

_POLICY = """\
apiVersion: ringfence/v1
kind: Policy
metadata:
  name: {name}
  version: 1.0.0
  owner: bench@example.com
  description: The eight mandatory gates for {count} accounts.
spec:
  level: account
  currency: USDT
  scope:
    accounts: [{accounts}]
  gates:
    - rule: kill-switch@1
    - rule: data-quality@1
      limits: {{max_age: 2m, min_completeness: 95%, max_skew: 1s}}
    - rule: daily-loss@1
      limits: {{max_loss: {loss} USDT, max_loss_ratio: 5%}}
    - rule: drawdown@1
      limits: {{max_drawdown: 10%}}
    - rule: position-count@1
      limits: {{max_positions: 10}}
    - rule: total-exposure@1
      limits: {{max: {total} USDT, max_of_equity: 45%}}
    - rule: position-size@1
      limits: {{max: {single} USDT, max_of_equity: 10%}}
    - rule: correlated-exposure@1
      limits: {{threshold: 0.7, max_of_equity: 20%}}
"""
#: The account of a set with very many symbols, and what all of them are called.
WIDE = "wide", "W{:04d}/USDT"
_HEAD = """\
apiVersion: ringfence/v1
kind: Instruments
metadata:
  name: bench-instruments
  version: 1.0.0
  description: What the benchmarks trade, and who trades it.
spec:
"""


def policy_directory(directory: Path, accounts: int, policies: int = 1) -> Path:
    """Write a policy set for so many accounts, spread evenly over so many policies.

    Args:
        directory: Where sets are kept.
        accounts: How many accounts there are.
        policies: How many policy files; their money limits differ a little from one to the next.

    Returns:
        The set's own directory, ready for `ringfence validate`.
    """
    place = directory / f"policies-{policies}-for-{accounts}-accounts"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    names = [account_name(each) for each in range(accounts)]
    (place / "instruments.yaml").write_text(_instruments(names), encoding="utf-8")
    for k in range(policies):
        own = names[k * accounts // policies : (k + 1) * accounts // policies]
        text = _POLICY.format(
            name=f"desk-{k:04d}",
            count=len(own),
            accounts=", ".join(own) if policies > 1 else "acc-*",
            loss=40_000 + k % 10,
            total=440_000 + k % 100,
            single=80_000 + k % 100,
        )
        (place / f"desk-{k:04d}.yaml").write_text(text, encoding="utf-8")
    return place


def wide_directory(directory: Path, symbols: int) -> Path:
    """Write a policy set of one account that may hold each of so many symbols, all fully correlated."""
    place = directory / f"policies-for-{symbols}-symbols"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    account, name = WIDE
    text = _POLICY.format(
        name="wide", count=1, accounts=account, loss=40_000, total=440_000, single=80_000
    )
    text = text.replace("max_positions: 10}", f"max_positions: {2 * symbols}}}")
    text = text.replace("max_of_equity: 20%", "max_of_equity: 45%")
    (place / "wide.yaml").write_text(text, encoding="utf-8")
    lines = [f"  accounts: [{account}]", "  instruments:"]
    lines += [
        f'    {name.format(k)}: {{lot_step: "0.01", min_size: "0.1", tick_size: "0.01", multiplier: 1, '
        f"base: W{k:04d}, quote: USDT, min_notional: 5}}"
        for k in range(symbols)
    ]
    (place / "instruments.yaml").write_text(_HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    return place


_NESTED = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {{name: nested-{k:04d}, version: 1.0.0, owner: bench@example.com, description: Scopes within others.}}
spec:
  currency: USDT
  scope: {scope}
  gates:
    - rule: total-exposure@1
      limits: {{max: {total} USDT}}
      overrides:
        - {{limits: {{max: {raised} USDT}}, scope: {{symbols: ["C0*"]}}, ticket: BENCH-{k}}}
        - {{limits: {{max: {raised} USDT}}, from: 2090-01-05, until: 2090-02-05, ticket: BENCH-{k}}}
    - {{rule: order-notional@1, limits: {{max: {single} USDT}}}}
    - {{rule: position-size@1, mode: shadow, review_by: 2090-01-01, limits: {{max: {single} USDT}}}}
"""


def nested_directory(directory: Path, policies: int) -> Path:
    """Write the eight mandatory gates for 1,000 accounts, and so many policies whose scopes lie within others.

    Their limits are the tighter the narrower the scope is; each has two overrides.
    """
    place = directory / f"nested-{policies}"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(policy_directory(directory, 1000), place)
    for k in range(policies):
        name = account_name(k % 1000)
        glob = name[: len(name) - k % 3] + "*" * (k % 3 > 0)
        venue = VENUES[k % len(VENUES)]
        width = k % 3 * 10_000
        text = _NESTED.format(
            k=k,
            scope=(
                f'{{accounts: ["{glob}"], venues: [{venue}]}}'
                if k % 2
                else f'{{accounts: ["{glob}"]}}'
            ),
            total=200_000 + width,
            raised=240_000 + width,
            single=60_000 + width,
        )
        (place / f"nested-{k:04d}.yaml").write_text(text, encoding="utf-8")
    return place


def _instruments(accounts: list[str]) -> str:
    lines = [
        f"  accounts: [{', '.join(accounts)}]",
        f"  strategies: [{', '.join(STRATEGIES)}]",
        f"  venues: [{', '.join(VENUES)}]",
        "  instruments:",
    ]
    lines += [
        f'    {each.name}: {{lot_step: "{each.lot_step:f}", min_size: "{each.lot_step * 10:f}", '
        f'tick_size: "{each.tick_size:f}", multiplier: 1, base: {each.name.split("/")[0]}, quote: USDT, '
        "min_notional: 5}"
        for each in SYMBOLS
    ]
    lines.append("  correlations:")
    lines += [
        f'    "{SYMBOLS[one].name}|{SYMBOLS[other].name}": {related(one, other)}'
        for one, other in combinations(range(len(SYMBOLS)), 2)
    ]
    return _HEAD + "\n".join(lines) + "\n"
