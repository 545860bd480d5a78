"""Many orders previewed: rows, columns and Arrow are read alike, and answered as each order alone."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence import PolicySet, RiskDecision
from ringfence.language.orders import OrderRequest
from ringfence.runtime import guard_columns
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.order_columns import OrderColumns, coded
from ringfence.runtime.ports import FixedClock
from ringfence.service.api import arrow_orders
from ringfence.service.api.arrow_orders import read_orders, write_previews
from ringfence.service.api.batches import ARROW
from ringfence.service.api.preview_bodies import PreviewOrders, columns_of
from ringfence.service.api.problems import Problem
from runtime.desk import NOON, SECOND, mark, opened, policies

pytestmark = pytest.mark.integration
_JSON = msgspec.json.Decoder(PreviewOrders)
FIELDS = OrderColumns._fields
ROW = {
    "account": "alpha",
    "strategy": "taker",
    "symbol": "BTC/USDT",
    "side": "buy",
    "size": "0.01",
    "price": "50000",
}


@pytest.fixture(scope="module")
def books(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CentralRiskGuard]:
    """A guard with a position, a closed switch and a strategy without money."""
    desk = policies(tmp_path_factory.mktemp("desk") / "policies")
    with opened(desk) as guard:
        guard.on_direct_fill("main", "", "ETH/USD", "buy", "100", 10)
        guard.set_kill_switch("venue/paper", "halted", by="ann", reason="drill")
        yield guard


rows_of_orders = st.lists(
    st.fixed_dictionaries(
        {
            "account": st.sampled_from(["main", "other", "nobody", ""]),
            "symbol": st.sampled_from(["BTC/USD", "ETH/USD", "NO/SUCH"]),
            "side": st.sampled_from(["buy", "sell"]),
            "size": st.sampled_from(["1", "7.50", "15", "0.05", "0", "-1", "9" * 40, "120"]),
            "price": st.sampled_from([None, "1000", "10", "0", "0.000000000000000000001"]),
            "type": st.sampled_from(["limit", "market", "stop"]),
            "strategy": st.sampled_from(["", "trend", "none"]),
            "venue": st.sampled_from(["", "paper"]),
            "reduce_only": st.booleans(),
        }
    ),
    min_size=1,
    max_size=12,
)


def arrow_of(columns: dict[str, Any], **written: Any) -> bytes:
    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, **written) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def told(found: Any) -> list[tuple[str, str, str, str]]:
    return list(zip(*(column.rows() for column in found), strict=True))


def alone(guard: CentralRiskGuard, row: dict[str, Any]) -> tuple[str, Decimal, str, str]:
    """What is decided of an order, which is then taken back."""
    answer = guard.evaluate_order(OrderRequest(**row))
    if answer.decision is not RiskDecision.REJECT:
        guard.on_cancel(answer.id)
    return answer.decision.value, answer.size, answer.code, answer.decided_by


@given(rows=rows_of_orders)
@settings(max_examples=60, deadline=None)
def test_rows_columns_and_arrow_are_answered_as_each_order_alone(
    books: CentralRiskGuard, rows: list[dict[str, Any]]
) -> None:
    columns = {name: [row[name] for row in rows] for name in rows[0]}
    typed = {**columns, "price": pa.array(columns["price"], pa.string())}
    coded_too = {**typed, "account": pa.array(columns["account"]).dictionary_encode()}

    asked = [
        columns_of(_JSON.decode(json.dumps({"orders": given})).orders) for given in (rows, columns)
    ] + [read_orders(arrow_of(given)) for given in (typed, coded_too)]
    first, *others = (told(books.preview_columns(each)) for each in asked)

    assert all(each == first for each in others)
    assert [(word, Decimal(size), code, gate) for word, size, code, gate in first] == [
        alone(books, row) for row in rows
    ]
    assert first == told(books._row_by_row(asked[0]))


def test_one_value_holds_for_all_rows() -> None:
    given = {
        "account": "a",
        "symbol": "s",
        "side": "buy",
        "size": [1, "2.50"],
        "price": [0.10, None],
    }
    found = columns_of(_JSON.decode(json.dumps({"orders": given})).orders)
    assert {name: getattr(found, name).rows() for name in FIELDS} == {
        "account": ["a", "a"],
        "symbol": ["s", "s"],
        "side": ["buy", "buy"],
        "size": ["1", "2.50"],
        "price": ["0.1", None],
        "type": ["limit", "limit"],
        "strategy": ["", ""],
        "venue": ["", ""],
        "reduce_only": [False, False],
    }


def test_names_and_policies_that_change_while_rows_are_asked_about(
    books: CentralRiskGuard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard_columns, "_ROWS", 2)
    monkeypatch.setattr(guard_columns, "_ROUTES", 1)
    row = {
        "account": "main", "symbol": "BTC/USD", "side": "buy", "size": "15", "price": "1000",
        "type": "limit", "strategy": "", "venue": "", "reduce_only": False,
    }  # fmt: skip
    rows = [{**row, "account": each} for each in ("main", "other", "late")] * 3
    orders = OrderColumns(*(coded([each[name] for each in rows]) for name in FIELDS))
    asked = guard_columns._Found.ask
    before = told(books.preview_columns(orders))

    def ask(self: Any, *given: Any) -> None:
        asked(self, *given)
        if self.first == 4:
            # The evaluator is bound anew, with a name more.
            books.on_balance("account/late", "opening", 100_000)

    monkeypatch.setattr(guard_columns._Found, "ask", ask)
    found = told(books.preview_columns(orders))

    assert found[:4] == before[:4]
    assert [each[2] for each in before] == ["POSITION_SIZE", "POSITION_SIZE", "UNKNOWN_ACCOUNT"] * 3
    assert [each[2] for each in found[4:]] == ["POSITION_SIZE"] * 5


def test_a_guard_whose_lease_is_over_or_that_is_closed_says_so_of_every_row(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    desk = policies(tmp_path_factory.mktemp("desk") / "policies")
    clock = FixedClock(NOON)
    how = GuardSettings(in_memory=True, without_audit=True, policy_lease_ns=10 * SECOND)
    guard = opened(desk, clock=clock, settings=how)
    rows = {"account": "main", "symbol": "BTC/USD", "side": "buy", "size": ["1", "20"]}
    orders = columns_of(
        _JSON.decode(json.dumps({"orders": {**rows, "price": ["1000"] * 2}})).orders
    )
    assert [each[0] for each in told(guard.preview_columns(orders))] == ["APPROVE", "REDUCE_SIZE"]
    clock.advance(20 * SECOND)
    mark(guard, clock.now_ns(), 1_000.0)
    found = told(guard.preview_columns(orders))
    assert found == [("REJECT", "0", "POLICY_LEASE_EXPIRED", "kill-switch")] * 2
    guard.close()
    assert told(guard.preview_columns(orders)) == [("REJECT", "0", "GUARD_CLOSED", "")] * 2


def good(**changed: Any) -> dict[str, Any]:
    base = {
        "account": ["a", "b"],
        "symbol": ["s", "s"],
        "side": ["buy", "sell"],
        "size": ["1", "2"],
    }
    return {name: each for name, each in (base | changed).items() if each is not None}


@pytest.mark.parametrize(
    ("values", "texts"),
    [
        (pa.array([Decimal("0.12345678901234567890"), None]), ["0.12345678901234567890", None]),
        (
            pa.array([Decimal("1" * 40 + "." + "2" * 30), 1], pa.decimal256(76, 30)),
            [f"{'1' * 40}.{'2' * 30}", f"1.{'0' * 30}"],
        ),
        (pa.array([2**64 - 1, 7], pa.uint64()), ["18446744073709551615", "7"]),
        (pa.array([0.1, 1e-7]), ["0.1", "0.0000001"]),
        (pa.array(["0.10", None], pa.large_string()), ["0.10", None]),
        (pa.array(["5", "5"]).dictionary_encode(), ["5", "5"]),
    ],
)
def test_no_digit_of_an_arrow_column_is_lost(values: Any, texts: list[Any]) -> None:
    assert read_orders(arrow_of(good(price=values))).price.rows() == texts


def test_batches_are_read_as_one_whatever_their_dictionaries_hold() -> None:
    sink = pa.BufferOutputStream()
    batches = [
        pa.record_batch({**good(), "account": pa.array(each).dictionary_encode()})
        for each in (["a", "b"], ["c", "a"])
    ]
    with pa.ipc.new_stream(sink, batches[0].schema) as writer:
        for each in batches:
            writer.write_batch(each)
    found = read_orders(bytes(sink.getvalue()))
    assert found.account.rows() == ["a", "b", "c", "a"]
    wide = pa.DictionaryArray.from_arrays(pa.array([2, 2]), pa.array(["x", "y", "z"]))
    assert read_orders(arrow_of(good(account=wide))).account.values == ["z"]


@pytest.mark.parametrize(
    ("columns", "detail", "pointer"),
    [
        (good(size=None), "column `size`: the column is missing", "/size"),
        (good(sizes=["1", "2"]), "column `sizes`: there is no such column", "/sizes"),
        (good(size=["1", "half"]), "column `size`: row 1: `half` is no decimal number", "/size/1"),
        (good(size=[1.0, float("nan")]), "column `size`: row 1: `nan` is no decimal", "/size/1"),
        (good(price=[1e300, 1.0]), "column `price`: row 0: `1e+300` is no decimal", "/price/0"),
        (good(size=pa.array([1, 2], pa.float32())), "column `size`: it is of type float", "/size"),
        (good(account=["a", None]), "column `account`: row 1: it is null", "/account/1"),
        (good(account=["a" * 201, "b"]), "column `account`: row 0: it has more", "/account/0"),
        (good(account=pa.array(["a", "b"], pa.string_view())), "column `account`: it is of type", "/account"),
        (good(side=["buy", "hold"]), "column `side`: row 1: `hold` is no side", "/side/1"),
        (good(reduce_only=["yes", "no"]), "column `reduce_only`: it is of type string", "/reduce_only"),
        (good(account=[["a"], ["b"]]), "column `account`: it is of type list", "/account"),
        ({name: pa.array([], pa.string()) for name in good()}, "it has 0 rows", ""),
    ],
)  # fmt: skip
def test_what_is_wrong_with_an_arrow_stream_is_said_with_column_and_row(
    columns: dict[str, Any], detail: str, pointer: str
) -> None:
    with pytest.raises(Problem) as caught:
        read_orders(arrow_of(columns))
    assert caught.value.kind.name == "invalid-body"
    assert caught.value.detail.startswith(detail)
    assert caught.value.errors[0].pointer == pointer


def test_a_stream_that_would_take_more_than_its_bytes_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(content: bytes) -> str:
        with pytest.raises(Problem) as caught:
            read_orders(content)
        return caught.value.detail

    compressed = pa.ipc.IpcWriteOptions(compression="zstd")
    assert refused(arrow_of(good(), options=compressed)) == "it is compressed"
    sink = pa.BufferOutputStream()
    deltas = pa.ipc.IpcWriteOptions(emit_dictionary_deltas=True)
    codes = [pa.array(each).dictionary_encode() for each in (["a", "b"], ["a", "b", "c"])]
    batches = [
        pa.record_batch({**good(), "account": pa.DictionaryArray.from_arrays(pa.array([0, 1], pa.int32()), each.dictionary)})
        for each in codes
    ]  # fmt: skip
    with pa.ipc.new_stream(sink, batches[0].schema, options=deltas) as writer:
        for each in batches:
            writer.write_batch(each)
    assert refused(bytes(sink.getvalue())) == "a dictionary comes in pieces"
    monkeypatch.setattr(arrow_orders, "MOST_ORDERS", 1)
    assert refused(arrow_of(good())) == "it has more than 1 rows"
    monkeypatch.setattr(arrow_orders, "_MOST_MESSAGES", 1)
    assert refused(arrow_of(good())) == "it has more than 1 messages"
    monkeypatch.setattr(arrow_orders, "_MOST_METADATA", 1)
    assert refused(arrow_of(good())) == "a message has too much metadata"


WHOLE = arrow_of(
    good(
        account=pa.array(["a", "b"]).dictionary_encode(),
        price=pa.array([Decimal("0.12"), None], pa.decimal128(38, 20)),
    )
)


@given(
    changes=st.lists(
        st.tuples(st.integers(0, len(WHOLE) - 1), st.sampled_from([0, 1, 127, 128, 254, 255])),
        max_size=5,
    ),
    end=st.one_of(st.just(len(WHOLE)), st.integers(0, len(WHOLE))),
    more=st.sampled_from([b"", b"\0", b"\xff\xff\xff\xff\xff\xff\xff\x7f", WHOLE]),
)
@settings(max_examples=300, deadline=None)
def test_hostile_bytes_are_read_or_refused_and_nothing_else(
    changes: list[tuple[int, int]], end: int, more: bytes
) -> None:
    content = bytearray(WHOLE)
    for at, value in changes:
        content[at] = value

    found = read_or_problem(bytes(content[:end]) + more)

    if isinstance(found, Problem):
        assert found.kind.name in ("malformed-arrow", "invalid-body")
        assert found.detail
    else:
        assert {len(column.rows()) for column in found} == {found.rows}


def read_or_problem(content: bytes) -> OrderColumns | Problem:
    try:
        return read_orders(content)
    except Problem as problem:
        return problem


def test_the_answer_is_arrow_where_that_is_asked_for_or_came(ask, marks) -> None:
    ask("POST", "/v1/marks", json=marks())
    path = "/v1/preview/batch"
    given = {name: [value, value] for name, value in ROW.items()} | {"size": ["0.01", "1000"]}
    body, is_arrow = arrow_of(given), {"content-type": ARROW}

    plain = ask("POST", path, json={"orders": given})
    arrow = ask("POST", path, content=body, headers=is_arrow)
    asked_for = ask("POST", path, json={"orders": given}, headers={"accept": ARROW})
    not_asked_for = ask(
        "POST", path, content=body, headers={**is_arrow, "accept": "application/json"}
    )

    assert (plain.headers["content-type"], arrow.headers["content-type"]) == (
        "application/json",
        ARROW,
    )
    told = plain.json()
    assert told["decision"] == ["APPROVE", "REJECT"]
    assert not_asked_for.json() == told
    for answer in (arrow, asked_for):
        with pa.ipc.open_stream(answer.content) as reader:
            table = reader.read_all()
        found = {"policy_set": table.schema.metadata[b"policy_set"].decode()}
        assert {**found, **table.to_pydict()} == told


def test_other_accounts_and_faults_are_refused_in_every_form(ask) -> None:
    path, is_arrow = "/v1/preview/batch", {"content-type": ARROW}
    given = {name: [value] for name, value in ROW.items()}
    other = {**given, "account": ["beta"]}
    assert ask("POST", path, json={"orders": other}).status_code == 403
    assert ask("POST", path, content=arrow_of(other), headers=is_arrow).status_code == 403
    assert ask("POST", path, content=b"ARROW1", headers=is_arrow).status_code == 400
    for orders, pointer in (
        ({**given, "size": ["1", "2"]}, "/orders/account"),
        ({**given, "size": ["half"]}, "/orders/size/0"),
        ({**given, "price": ["1", "half"]}, "/orders/price"),
        ([ROW, {**ROW, "price": "half"}], "/orders/1/price"),
    ):
        answer = ask("POST", path, json={"orders": orders})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"] == pointer
    twice = json.dumps({"orders": given})[:-2] + ', "size": ["2"]}}'
    answer = ask("POST", path, content=twice, headers={"content-type": "application/json"})
    assert "stands twice" in answer.json()["detail"]


def test_a_decision_s_columns_are_written_as_they_are() -> None:
    columns = [coded(["REJECT", "APPROVE"]), coded(["0", "7"]), coded(["X", ""]), coded(["g", ""])]
    found = guard_columns.PreviewedColumns(*columns)
    with pa.ipc.open_stream(write_previews(found, "sha")) as reader:
        assert reader.read_all().column("size").to_pylist() == ["0", "7"]


def test_columns_are_held_off_where_the_clock_or_an_instrument_is_in_doubt(tmp_path: Path) -> None:
    clock = FixedClock(NOON)
    guard = opened(policies(tmp_path / "desk"), clock=clock)
    rows = {"account": "main", "symbol": ["BTC/USD", "ETH/USD"], "side": "buy", "size": ["1", "1"]}
    orders = columns_of(
        _JSON.decode(json.dumps({"orders": {**rows, "price": ["1000", "10"]}})).orders
    )
    clock.moment_ns -= 10 * SECOND
    assert [each[2] for each in told(guard.preview_columns(orders))] == ["CLOCK_BEHIND"] * 2
    clock.advance(10 * SECOND)
    assert [each[2] for each in told(guard.preview_columns(orders))] == ["", ""]

    policies(tmp_path / "fewer")
    text = (tmp_path / "fewer" / "instruments.yaml").read_text()
    kept = [line for line in text.splitlines() if "ETH/USD" not in line]
    (tmp_path / "fewer" / "instruments.yaml").write_text("\n".join(kept))
    guard.use(PolicySet.load(tmp_path / "fewer"), by="reload")
    assert [each[2] for each in told(guard.preview_columns(orders))] == ["", "UNKNOWN_INSTRUMENT"]
