"""Templates of the texts that a usual order leaves: taken from what writes them for any other order.

Each is written once, with a mark in place of whatever differs from order to order, and cut at its marks.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from ringfence.backends.numba_kernel.live_usual import Piece, Template
from ringfence.runtime.approvals import signed_text
from ringfence.runtime.asked import KINDS, SIDES, Asked
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_segments import payload_of
from ringfence.runtime.books_keeper import order_event
from ringfence.runtime.decision_record import decision_record
from ringfence.runtime.evaluator import Route
from ringfence.runtime.guard_books import Remembered
from ringfence.runtime.ports import SYSTEM_RANDOM
from ringfence.runtime.state_directory import encoded

__all__ = ["template_of"]

_NAN = float("nan")
# No text of a policy or an order holds this.
_TOKEN = SYSTEM_RANDOM.token()
# What is signed as a number must be one; and no name is as long as these.
_SIZE, _PRICE = Decimal("73856093.19349663"), Decimal("83492791.86028157")
_NOW, _EXPIRES = 1_618_033_988_749_894_848, 2_718_281_828_459_045_235
_ID_LENGTH, _CLIENT_LENGTH = 7_919, 6_871


def _mark(name: str) -> Any:
    return f"~{name}~{_TOKEN}~"


def template_of(
    route: Route,
    side: str,
    kind: str,
    *,
    reduce_only: bool,
    has_price: bool,
    run: str,
    policy_set: str,
) -> Template:
    """The texts of orders of one route, side and type.

    Args:
        route: Of the orders.
        side, kind, reduce_only: Of the orders.
        has_price: Whether they have one.
        run: What their ids begin with, up to the number.
        policy_set: SHA-256 of the policy set that decides.

    Raises:
        UnicodeEncodeError: a name is no Unicode.
    """
    price = _mark("price") if has_price else None
    asked = Asked(
        *route.key,
        SIDES[side],
        side,
        KINDS[kind],
        kind,
        _mark("size"),
        _NAN,
        price,
        reduce_only,
        _mark("client"),
    )
    account, strategy, venue, symbol = route.codes
    _, account_book, strategy_book = route.books
    return Template(
        _record(route, asked, run, policy_set),
        _line(asked, run, policy_set),
        _signed(asked, run, policy_set),
        (
            account,
            strategy,
            venue,
            symbol,
            account_book,
            strategy_book,
            asked.side,
            asked.kind,
            int(reduce_only),
            len(run),
        ),
    )


def _record(route: Route, asked: Asked, run: str, policy_set: str) -> list[Piece]:
    id, request = f"{run}{_mark('count')}", _mark("request")
    texts = route.texts._replace(before_found=route.texts.before_found + _mark("found"))
    body = decision_record(
        (id, "APPROVE", "", "", _mark("approved"), policy_set, _mark("now")),
        asked,
        texts,
        b"",
        _mark("evidence"),
        _mark("market"),
        {},
        request,
    )
    body = body.replace(f'"{_mark("market")}"'.encode(), _mark("market").encode())
    # An order that no named request brought has nothing there.
    body = body.replace(f'"request_id":"{request}",'.encode(), request.encode())
    payload = payload_of(body, DECISION, _mark("previous"), _mark("sequence"), _mark("moment"))
    names = (
        *("now", "evidence", "found", "count", "market", "client", "price", "size", "request"),
        *("approved", "previous", "sequence", "moment"),
    )
    return _cut(payload, names)


def _line(asked: Asked, run: str, policy_set: str) -> list[Piece]:
    lots, now = _mark("lots"), _mark("now")
    price = None if asked.exact_price is None else _mark("price number")
    content = (*asked[:4], asked.side_name, asked.type, lots, price, asked.reduce_only)
    id = f"{run}{_mark('count')}"
    answer = Remembered(content, id, 0, lots, "", "", now, _mark("expires"), policy_set)
    line = encoded(order_event(asked.client_order_id, _mark("taken"), answer))
    for name in ("now", "taken", "lots", "price number", "expires"):
        # What is no text stands without quotes.
        line = line.replace(f'"{_mark(name)}"'.encode(), _mark(name).encode())
    names = ("now", "client", "taken", "lots", "price number", "count", "lots", "now", "expires")
    return _cut(line, names)


def _signed(asked: Asked, run: str, policy_set: str) -> list[Piece]:
    count, client = _mark("count"), _mark("client").ljust(_CLIENT_LENGTH)
    text = signed_text(
        (
            f"{run}{count}".ljust(_ID_LENGTH),
            *asked[:4],
            asked.side_name,
            asked.type,
            _SIZE,
            None if asked.exact_price is None else _PRICE,
            asked.reduce_only,
            client,
            policy_set,
            _NOW,
            _EXPIRES,
        )
    )
    padded = " " * (_ID_LENGTH - len(run) - len(count))
    text = text.replace(f"{count}{padded}".encode(), count.encode(), 1)
    text = text.replace(client.encode(), client.strip().encode(), 1)
    marks = [
        (str(_SIZE), "approved"),
        (str(_PRICE), "price"),
        (str(_NOW), "now"),
        (str(_EXPIRES), "expires"),
        (str(_ID_LENGTH), "id length"),
        (str(_CLIENT_LENGTH), "client length"),
        (count, "count"),
        (client.strip(), "client"),
    ]
    if asked.exact_price is None:
        del marks[1]
    return _cut_at(text, marks)


def _cut(text: bytes, names: Iterable[str]) -> list[Piece]:
    return _cut_at(text, ((_mark(name), name) for name in names if _mark(name).encode() in text))


def _cut_at(text: bytes, marks: Iterable[tuple[str, str]]) -> list[Piece]:
    """Cut a text at its marks, which stand in this order."""
    pieces, at = [], 0
    for mark, name in marks:
        found = text.index(mark.encode(), at)
        pieces.append((text[at:found], name))
        at = found + len(mark)
    pieces.append((text[at:], ""))
    return pieces
