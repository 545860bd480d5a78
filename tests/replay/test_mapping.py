"""Mapping files: what the shipped ones make of real exports, and what is refused in any."""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from replay.stream_rows import columns_of
from ringfence.errors import InputError, PolicyError
from ringfence.language.orders import whole_lots
from ringfence.replay.mapping import load_mapping, mapping_names
from ringfence.replay.sources import Inputs, describe, open_inputs, open_marks, open_orders

pytestmark = pytest.mark.unit

FIXTURES = Path(__file__).parent / "fixtures"
HISTORY = (
    Path(__file__).parents[2] / "examples/data/binance_cross_margin_orders_20251128_20260102.csv"
)


def opened(name: str, mapping: str) -> Inputs:
    return open_inputs(str(FIXTURES / name), mapping=mapping)


def written(folder: Path, spec: str, name: str = "mine") -> str:
    path = folder / "mapping.yaml"
    path.write_text(
        f"apiVersion: ringfence/v1\nkind: Mapping\nmetadata: {{name: {name}, version: 1.0.0}}\n{spec}",
        encoding="utf-8",
    )
    return str(path)


@pytest.mark.parametrize("name", mapping_names())
def test_shipped_mapping_loads_and_is_named_after_its_file(name: str) -> None:
    mapping = load_mapping(name)

    assert mapping.name == name
    assert mapping.description
    assert mapping.assumptions


def test_binance_history_replays_every_real_order_in_time_order() -> None:
    with open_inputs(str(HISTORY), mapping="binance-order-history") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    assert inputs.orders.rejects.total == 0
    assert len(orders["ts"]) == 157
    assert orders["ts"] == sorted(orders["ts"])
    assert set(orders["symbol"]) == {"BTC/USDT", "USDC/USDT"}
    assert sum(orders["n_fills"]) == len(fills["ts"]) == 103
    assert orders["type"].count("stop_limit") == 7
    assert orders["type"].count("market") == 18
    # The one market order that never traded has no price at all.
    assert orders["price"].count(None) == 1
    assert sum(1 for end in orders["end_ts"] if end) == 54


def test_binance_history_keeps_ids_and_decimals_as_written() -> None:
    with open_inputs(str(HISTORY), mapping="binance-order-history") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    place = orders["order_id"].index("54801988963")
    assert orders["row"][place] == 1
    assert (orders["side"][place], orders["size"][place]) == ("sell", 0.00489)
    fill = fills["position"].index(place)
    assert (fills["size"][fill], fills["price"][fill], fills["last"][fill]) == (
        0.00489,
        90099.99,
        1,
    )


def test_orders_of_one_second_keep_their_order_where_the_export_is_newest_first() -> None:
    with open_inputs(str(HISTORY), mapping="binance-order-history") as inputs:
        orders = columns_of(inputs.orders)

    by_time: dict[int, list[int]] = {}
    for ts, row in zip(orders["ts"], orders["row"], strict=True):
        by_time.setdefault(ts, []).append(row)
    ties = [rows for rows in by_time.values() if len(rows) > 1]
    assert ties
    assert all(rows == sorted(rows, reverse=True) for rows in ties)


def test_binance_trades_name_the_taker_and_turn_contracts_into_base_units() -> None:
    orders = columns_of(open_orders(str(FIXTURES / "binance_trades.parquet"), "binance-trades"))

    assert set(orders["symbol"]) == {
        "BTC/USDT", "ETH/USDT", "BTC/USDT:USDT", "ETH/USDT:USDT", "BTC/USD:BTC", "ETH/USD:ETH",
    }  # fmt: skip
    place = orders["order_id"].index("binance_coinm-BTCUSD_PERP-849714402")
    assert orders["side"][place] == "buy"
    assert orders["size"][place] == round(4 * 100 / 61804.8, 8)
    assert orders["ts"][place] == 1723161256419684465


@pytest.mark.parametrize(
    ("mapping", "kind"), [("binance-trades", "orders"), ("binance-book-ticker", "marks")]
)
def test_futures_that_are_delivered_are_not_the_perpetual(
    tmp_path: Path, mapping: str, kind: str
) -> None:
    symbols = ["BTCUSD_PERP", "BTCUSD_240927", "BTCUSDT", "BTCUSDT_240927"]
    venues = ["binance_coinm", "binance_coinm", "binance_usdm", "binance_usdm"]
    lines = [
        "local_ts_ns,venue,symbol,trade_id,price,qty,exec_type,buyer_is_maker,bid,bid_qty,ask,ask_qty"
    ]
    lines += [
        f"172316125641968446{place},{venue},{symbol},{place},61000,1,MARKET,false,1,1,1,1"
        for place, (venue, symbol) in enumerate(zip(venues, symbols, strict=True))
    ]
    file = tmp_path / "export.csv"
    file.write_text("\n".join(lines), encoding="utf-8")
    query = (
        "SELECT local_ts_ns, venue, symbol, trade_id, CAST(price AS DOUBLE) AS price, CAST(qty AS DOUBLE) AS qty, "
        "exec_type, CAST(buyer_is_maker AS BOOLEAN) AS buyer_is_maker, CAST(bid AS DOUBLE) AS bid, "
        "CAST(bid_qty AS DOUBLE) AS bid_qty, CAST(ask AS DOUBLE) AS ask, CAST(ask_qty AS DOUBLE) AS ask_qty "
        f"FROM '{file}'"
    )
    stream = open_orders(query, mapping) if kind == "orders" else open_marks(query, mapping)

    assert columns_of(stream)["symbol"] == [
        "BTC/USD:BTC", "BTC/USD:BTC-240927", "BTC/USDT:USDT", "BTC/USDT:USDT-240927",
    ]  # fmt: skip


def test_a_linear_contract_of_bitmex_is_not_the_inverse_one(tmp_path: Path) -> None:
    levels = ",".join(["100"] * 10 + ["3000"] * 10 + ["99"] * 10 + ["2000"] * 10)
    file = tmp_path / "depth.csv"
    names = ("XBTUSD", "XBTUSDT", "ETHUSDT")
    rows = (f"2020-03-10 18:26:5{at},1,{name},{levels}" for at, name in enumerate(names))
    file.write_text("\n".join(rows), encoding="utf-8")

    marks = columns_of(open_marks(str(file), "bitmex-depth10"))

    assert marks["symbol"] == ["BTC/USD:BTC", "XBTUSDT", "ETHUSDT"]
    assert marks["bid_depth"] == [20_000 / 99, 20_000.0, 20_000.0]


def test_trades_of_one_taker_order_become_one_order_with_a_fill_each() -> None:
    with opened("binance_trades_with_order_ids.parquet", "binance-trades-with-order-ids") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    place = orders["order_id"].index("BTCUSDT-20720542777")
    own = [at for at, position in enumerate(fills["position"]) if position == place]
    assert orders["size"][place] == 0.29092
    assert orders["n_fills"][place] == len(own) == 4
    assert [fills["last"][at] for at in own] == [0, 0, 0, 1]
    assert len(fills["ts"]) == 60


def test_bitmex_inverse_contracts_become_bitcoin_and_quanto_ones_stay() -> None:
    orders = columns_of(open_orders(str(FIXTURES / "bitmex_trades.parquet"), "bitmex-trades"))

    assert (orders["symbol"][0], orders["side"][0], orders["size"][0]) == (
        "BTC/USD:BTC", "sell", round(20000 / 7822.5, 8),
    )  # fmt: skip
    assert (orders["symbol"][1], orders["size"][1]) == ("ETH/USD:BTC", 15.0)


@pytest.mark.parametrize("name", ["binance_trades", "bitmex_trades"])
def test_sizes_of_inverse_contracts_are_whole_lots(name: str) -> None:
    orders = columns_of(open_orders(str(FIXTURES / f"{name}.parquet"), name.replace("_", "-")))
    inverse = [
        Decimal(str(size))
        for symbol, size in zip(orders["symbol"], orders["size"], strict=True)
        if symbol in ("BTC/USD:BTC", "ETH/USD:ETH")
    ]

    assert inverse
    assert all(whole_lots(size, Decimal("0.00000001")) for size in inverse)


@pytest.mark.parametrize(
    ("name", "mapping", "first"),
    [
        (
            "binance_book_ticker.parquet",
            "binance-book-ticker",
            {
                "symbol": "ETH/USDT",
                "bid": 2683.8,
                "ask": 2683.81,
                "last": None,
                "bid_depth": 3.0292,
            },
        ),
        (
            "bitmex_depth10.csv.gz",
            "bitmex-depth10",
            {
                "symbol": "ETH/USD:BTC",
                "bid": 199.0,
                "ask": 199.05,
                "ts": 1583864710811000000,
                "row": 2,
            },
        ),
        (
            "lean_quotebars.parquet",
            "lean-quotebars",
            {"symbol": "BTC/USD", "last": None},
        ),
        (
            "lean_tradebars.parquet",
            "lean-tradebars",
            {"symbol": "BTC/USD", "bid": None, "last": 611.9, "volume": 1.13872},
        ),
        (
            "binance_5m_closes.parquet",
            "binance-5m-closes",
            {"symbol": "AAVE/USDT", "last": 161.6, "ts": 1643777100000000000},
        ),
    ],
)
def test_marks_of_real_captures(name: str, mapping: str, first: dict[str, object]) -> None:
    stream = open_marks(str(FIXTURES / name), mapping)

    marks = columns_of(stream)

    assert stream.rejects.total == 0
    assert marks["ts"] == sorted(marks["ts"])
    assert {key: marks[key][0] for key in first} == first


def test_wide_closes_become_one_mark_a_coin() -> None:
    marks = columns_of(open_marks(str(FIXTURES / "binance_5m_closes.parquet"), "binance-5m-closes"))

    assert len(marks["ts"]) == 40
    assert len(set(marks["symbol"])) == 10


def test_kraken_trades_of_one_order_are_put_together() -> None:
    with opened("kraken_trades.csv", "kraken-orders") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    assert orders["symbol"] == ["BTC/USD", "ETH/EUR", "BTC/USDT"]
    assert orders["type"] == ["limit", "stop", "market"]
    assert orders["size"][0] == 0.3
    # The worst that it paid: an average would lie off the tick.
    assert orders["price"] == [60010.0, 3000.0, 61000.0]
    assert orders["n_fills"] == [2, 1, 1]
    assert fills["fee"] == [9.6, 19.2032, 7.8, 15.86]
    # A settled position is no order; it is counted, and its fill with it.
    assert inputs.orders.rejects.counts == {"unknown order type": 1}
    assert inputs.fills is not None
    assert inputs.fills.rejects.counts == {"fill of an unknown order": 1}


def test_ccxt_orders_with_missing_fields() -> None:
    with opened("ccxt_orders.json", "ccxt-orders") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    assert orders["order_id"] == ["a1", "a2", "a3"]
    assert orders["type"] == ["limit", "market", "stop_limit"]
    assert orders["price"] == [60000.5, 60100.0, 2900.0]
    assert orders["reduce_only"] == [0, 1, 0]
    assert orders["end_ts"] == [1709287260000000000, 0, 0]
    assert [fills["size"], fills["price"], fills["fee"]] == [
        [0.1, 0.1],
        [60000.1, 60100.0],
        [6.0, 0.0],
    ]
    assert inputs.orders.rejects.counts == {"size is not above zero": 1}


def test_kraken_calls_the_tether_pair_by_its_old_name(tmp_path: Path) -> None:
    head = (FIXTURES / "kraken_trades.csv").read_text(encoding="utf-8").splitlines()[:2]
    file = tmp_path / "trades.csv"
    file.write_text("\n".join(head).replace("XXBTZUSD", "USDTZUSD"), encoding="utf-8")

    with open_inputs(str(file), mapping="kraken-orders") as inputs:
        assert columns_of(inputs.orders)["symbol"] == ["USDT/USD"]


def test_an_iceberg_of_kraken_is_a_limit_order(tmp_path: Path) -> None:
    head = (FIXTURES / "kraken_trades.csv").read_text(encoding="utf-8").splitlines()[:2]
    file = tmp_path / "trades.csv"
    file.write_text("\n".join(head).replace('"limit"', '"iceberg"'), encoding="utf-8")

    with open_inputs(str(file), mapping="kraken-orders") as inputs:
        assert columns_of(inputs.orders)["type"] == ["limit"]


def test_a_fee_of_ccxt_in_the_base_currency_counts_at_the_price(tmp_path: Path) -> None:
    order = {
        "timestamp": 1709287200123, "symbol": "BTC/USDT", "type": "limit", "side": "buy",
        "price": 60000, "amount": 0.1, "filled": 0.1, "average": 59000, "status": "closed",
    }  # fmt: skip
    fees: list[dict[str, object] | None] = [
        {"cost": 0.0001, "currency": "BTC"},
        {"cost": 5.9, "currency": "USDT"},
        {"cost": 5.9, "currency": None},
        {"cost": 0.01, "currency": "BNB"},
        None,
    ]
    symbols = {5: "BTC/USDT:USDT", 6: "BTC/USD:BTC"}
    fees += [fees[1], fees[0]]
    rows = [
        {**order, "id": f"a{at}", "fee": fee, "symbol": symbols.get(at, "BTC/USDT")}
        for at, fee in enumerate(fees)
    ]
    file = tmp_path / "orders.json"
    file.write_text(json.dumps(rows), encoding="utf-8")

    with open_inputs(str(file), mapping="ccxt-orders") as inputs:
        fills = columns_of(inputs.fills)

    assert fills["fee"] == pytest.approx([5.9, 5.9, 5.9, 0.0, 0.0, 5.9, 5.9])
    assert any("third currency" in text for text in inputs.orders.assumptions)


def test_what_ccxt_says_was_filled_before_the_cancel_counts(tmp_path: Path) -> None:
    order = {
        "timestamp": 1709287200000, "symbol": "BTC/USDT", "type": "limit", "side": "buy", "price": 60000,
        "amount": 0.5, "filled": 0.2, "average": 60000, "status": "canceled", "lastTradeTimestamp": 1709287260000,
    }  # fmt: skip
    updates = {"never": None, "before": 1709287200000, "after": 1709287300000}
    rows = [{**order, "id": name, "lastUpdateTimestamp": at} for name, at in updates.items()]
    file = tmp_path / "orders.json"
    file.write_text(json.dumps(rows), encoding="utf-8")

    with open_inputs(str(file), mapping="ccxt-orders") as inputs:
        orders = columns_of(inputs.orders)

        assert inputs.fills is not None
        assert inputs.fills.rejects.total == 0
    assert orders["n_fills"] == [1, 1, 1]
    assert [end // 10**9 for end in orders["end_ts"]] == [1709287260, 1709287260, 1709287300]


@pytest.mark.parametrize("name", ["freqtrade_trades.csv", "freqtrade_trades.json"])
def test_freqtrade_trade_becomes_an_entry_and_a_reduce_only_exit(name: str) -> None:
    with opened(name, "freqtrade-trades") as inputs:
        orders = columns_of(inputs.orders)
        fills = columns_of(inputs.fills)

    assert orders["side"] == ["buy", "sell", "buy", "sell", "buy"]
    assert orders["reduce_only"] == [0, 0, 1, 1, 0]
    assert orders["price"] == [60000.0, 3000.0, 2990.0, 61000.0, 61000.0]
    assert set(orders["strategy"]) == {"freqtrade"}
    assert len(fills["ts"]) == 5
    assert fills["fee"][0] == pytest.approx(0.6)
    assert "1 row left out by the mapping's `where`" in inputs.orders.assumptions


def test_assumptions_of_a_mapping_are_said() -> None:
    stream = open_orders(str(FIXTURES / "bitmex_trades.parquet"), "bitmex-trades")

    assert any("inverse" in text for text in stream.assumptions)


def test_describe_counts_rows_and_span_through_a_mapping() -> None:
    facts = describe(str(HISTORY), "orders", "binance-order-history")

    assert (facts.rows, facts.first_ts, facts.last_ts) == (
        157,
        1764333745000000000,
        1767370646000000000,
    )


def test_unknown_mapping_name_suggests_a_near_one() -> None:
    with pytest.raises(InputError, match="did you mean `kraken-orders`"):
        load_mapping("kraken-order")


def test_mapping_without_the_asked_section_is_an_error() -> None:
    with pytest.raises(InputError, match="gives no marks"):
        open_marks(str(FIXTURES / "bitmex_trades.parquet"), "bitmex-trades")


ORDERS = "ts: ts, symbol: symbol, side: side, size: size"


@pytest.mark.parametrize(
    ("expression", "reason"),
    [
        ("(SELECT 1)", "a subquery"),
        ("size) FROM read_csv('/etc/passwd') --", "syntax error"),
        ("size; DROP TABLE x", "only a single expression is taken"),
        ("1, 2", "not one expression"),
        ("size AS x", "takes no `AS`"),
        ("size FROM t", "takes no FROM"),
        ("read_text('/etc/passwd')", "function `read_text`"),
        ("getenv('HOME')", "function `getenv`"),
        ("sleep_ms(100000)", "function `sleep_ms`"),
        ("write_log('x')", "function `write_log`"),
        ("random()", "function `random`"),
        ("now()", "function `now`"),
        ("current_timestamp", "differs from run to run"),
        ("sum(size)", "needs a `group_by`"),
        ("row_number() OVER ()", "a window function"),
        ("list_transform([1], x -> x)", "`list_transform`"),
        ("size::VARCHAR[]", "type `list`"),
        ("size::BLOB", "type `blob`"),
        ("repeat('x', 1000000000)", "function `repeat`"),
        ("replace(side, 'b', 'bbbbbbbbbb')", "too long"),
        ("regexp_replace(side, '.', '\\0\\0\\0\\0\\0\\0', 'g')", "too long"),
        ("main.lower(side)", "takes no schema"),
        ("COLUMNS('s')", "`*`"),
        ("$1", "a parameter"),
        ("size +", "syntax error"),
        ("(" * 1500 + "1" + ")" * 1500, "nested too deeply"),
    ],
)
def test_expression_that_could_reach_anything_is_refused(
    tmp_path: Path, expression: str, reason: str
) -> None:
    text = expression.replace("'", "''")
    path = written(tmp_path, f"spec:\n  orders: {{{ORDERS}, price: '{text}'}}\n")

    with pytest.raises(PolicyError) as caught:
        load_mapping(path)

    (finding,) = caught.value.diagnostics
    assert reason in finding.message
    assert finding.code == "E180"
    assert finding.span is not None
    assert finding.span.line == 5


def test_all_faults_of_a_mapping_are_shown_at_once(tmp_path: Path) -> None:
    path = written(tmp_path, f"spec:\n  orders: {{{ORDERS}, price: now(), venue: '1, 2'}}\n")

    with pytest.raises(PolicyError) as caught:
        load_mapping(path)

    assert len(caught.value.diagnostics) == 2


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("spec:\n  orders: {ts: ts}\n", "`orders` lacks `symbol`"),
        (f"spec:\n  orders: {{{ORDERS}, prize: '1'}}\n", "did you mean `price`"),
        (f"spec:\n  orders: {{{ORDERS}, price: 1}}\n", "`price` must be text"),
        (f"spec:\n  ordrs: {{{ORDERS}}}\n", "did you mean `orders`"),
        ("spec:\n  reads: {format: csv}\n", "the mapping has no section"),
        (f"spec:\n  reads: {{format: xml}}\n  orders: {{{ORDERS}}}\n", "`format` cannot be `xml`"),
        ("spec: {}\n", "`spec` must have at least 1 key"),
        (f"spec:\n  orders: {{{ORDERS}, price: (SELECT 1)}}\n", "a subquery may not be used"),
        (f"spec:\n  orders:\n    - {{{ORDERS}}}\n    - {{{ORDERS}}}\n", "needs `order_id`"),
    ],
)
def test_mapping_of_the_wrong_shape_is_refused(tmp_path: Path, spec: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message) as raised:
        load_mapping(written(tmp_path, spec))
    assert all(each.span and each.why and each.fix for each in raised.value.diagnostics)


def test_expression_over_a_column_that_is_not_there_is_named_with_its_place(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        f"spec:\n  orders:\n    {ORDERS.replace(', ', chr(10) + '    ')}\n    price: prize\n",
    )

    with pytest.raises(PolicyError) as caught:
        open_orders(str(FIXTURES / "bitmex_trades.parquet"), path)

    (finding,) = caught.value.diagnostics
    assert (finding.code, finding.span.line if finding.span else 0) == ("E181", 10)
    assert "`price`" in finding.why


def test_constant_that_hides_a_column_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, f"spec:\n  constants: {{price: 1}}\n  orders: {{{ORDERS}}}\n")

    with pytest.raises(InputError, match="also has as a constant"):
        open_orders(str(FIXTURES / "bitmex_trades.parquet"), path)


@pytest.mark.parametrize("where", ["side", "CAST(size AS DOUBLE)", "ts"])
def test_a_where_that_is_no_condition_is_refused_at_its_place(tmp_path: Path, where: str) -> None:
    source = tmp_path / "o.csv"
    source.write_text("ts,symbol,side,size\n2024-01-01,A,buy,1\n", encoding="utf-8")
    path = written(tmp_path, f"spec:\n  orders: {{{ORDERS}, where: '{where}'}}\n")

    with pytest.raises(PolicyError, match="`where` is no condition: it yields") as raised:
        open_orders(str(source), path)
    (finding,) = raised.value.diagnostics
    assert finding.span is not None
    assert finding.fix


def test_a_where_may_be_a_whole_number(tmp_path: Path) -> None:
    source = tmp_path / "o.csv"
    source.write_text("ts,symbol,side,size\n2024-01-01,A,buy,1\n2024-01-02,A,buy,0\n", "utf-8")
    path = written(tmp_path, f"spec:\n  orders: {{{ORDERS}, where: 'CAST(size AS INT)'}}\n")

    assert columns_of(open_orders(str(source), path))["size"] == [1.0]


def test_row_that_an_expression_fails_on_is_a_reject_and_not_the_end(tmp_path: Path) -> None:
    source = tmp_path / "o.csv"
    source.write_text(
        "ts,symbol,side,size\n2024-01-01,A,buy,1\n2024-01-02,A,buy,x\n", encoding="utf-8"
    )
    mapping = written(
        tmp_path,
        "spec:\n  orders: {ts: ts, symbol: symbol, side: side, size: CAST(size AS DOUBLE)}\n",
    )

    stream = open_orders(str(source), mapping)

    assert columns_of(stream)["size"] == [1.0]
    assert stream.rejects.counts == {"no size": 1}


def test_rows_left_out_of_a_group_do_not_count_in_its_sum(tmp_path: Path) -> None:
    source = tmp_path / "o.csv"
    source.write_text(
        "ts,id,side,size,ok\n2024-01-01,1,buy,1,y\n2024-01-01,1,buy,2,n\n2024-01-01,2,buy,4,n\n",
        encoding="utf-8",
    )
    spec = (
        "spec:\n  constants: {coin: A}\n  orders: {where: \"ok = 'y'\", group_by: [id, side], ts: min(ts), "
        "order_id: id, symbol: min(coin), side: side, size: sum(CAST(size AS DOUBLE))}\n"
    )

    stream = open_orders(str(source), written(tmp_path, spec))

    assert columns_of(stream)["size"] == [1.0]
    assert "2 rows left out by the mapping's `where`" in stream.assumptions
