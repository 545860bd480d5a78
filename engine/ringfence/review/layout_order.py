"""The order of keys where people look for them in one place; elsewhere keys keep the order they have."""

from collections.abc import Sequence

from ringfence.review.layout_tree import Collection, Layout, Value

__all__ = ["put_keys_in_order"]

_POLICY = ("level", "currency", "day", "scope", "gates")
_SCOPE = ("accounts", "strategies", "venues", "symbols", "exclude")
_GATE = (
    "rule",
    "name",
    "level",
    "mode",
    "review_by",
    "limits",
    "on_breach",
    "confirm_ticks",
    "applies_to",
    "overrides",
)
_OVERRIDE = ("limits", "scope", "from", "until", "ticket", "reason")
_CASE = ("name", "given", "when", "limits", "then")
_RULE = (
    "mandatory",
    "level",
    "applies_to",
    "on_breach",
    "code",
    "measures",
    "freshness",
    "parameters",
    "default_limits",
    "checks",
    "docs",
    "case_defaults",
    "cases",
)
_INVARIANT = ("assume", "claim", "standard")
_INSTRUMENTS = ("accounts", "strategies", "venues", "fx", "instruments", "correlations")

# By path, with `*` for any item of a list. A policy stands in `spec`, or in the `policy` of a test.
_ORDERS: dict[tuple[str, ...], Sequence[str]] = {
    (): ("apiVersion", "kind", "metadata", "defaults", "policy", "spec", "cases"),
    ("metadata",): ("name", "version", "title", "owner", "description"),
    # The kinds' keys do not overlap but for the level, which comes first in each order.
    ("spec",): tuple(dict.fromkeys((*_RULE[:1], *_POLICY, *_INSTRUMENTS, *_INVARIANT, *_RULE[2:]))),
    ("spec", "cases", "*"): _CASE,
    ("spec", "case_defaults"): _CASE,
    ("defaults",): _CASE,
    ("cases", "*"): _CASE,
    **{
        (top, *path): order
        for top in ("spec", "policy")
        for path, order in {
            ("scope",): _SCOPE,
            ("scope", "exclude"): _SCOPE,
            ("gates", "*"): _GATE,
            ("gates", "*", "overrides", "*"): _OVERRIDE,
            ("gates", "*", "overrides", "*", "scope"): _SCOPE,
        }.items()
    },
    ("policy",): _POLICY,
}


def put_keys_in_order(layout: Layout) -> None:
    """Put the keys of a document in order; those that no order names stay behind the others.

    Nothing moves in a document with anchors, for an alias has to follow what it names. The comments at
    the very top of the file stay there.
    """
    root = layout.root
    if layout.has_anchors or not isinstance(root, Collection) or not root.entries:
        return
    head, root.entries[0].above = root.entries[0].above, []
    _order(root, ())
    root.entries[0].above = head + root.entries[0].above


def _order(value: Value, path: tuple[str, ...]) -> None:
    if not isinstance(value, Collection):
        return
    if value.is_mapping and (order := _ORDERS.get(path)):
        ranks = {key: rank for rank, key in enumerate(order)}
        value.entries.sort(
            key=lambda each: ranks.get(each.key.value if each.key else "", len(ranks))
        )
    for each in value.entries:
        _order(each.value, (*path, each.key.value if each.key else "*"))
