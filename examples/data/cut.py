"""Cut the example data from the real captures it comes from: `python cut.py SOURCE_DIR OUT_DIR`.

SOURCE_DIR holds `market/` and `orders/` as PROVENANCE.md describes them. Rows are chosen and columns renamed;
no value is made up, averaged or moved. Needs duckdb.
"""

import shutil
import sys
from pathlib import Path

import duckdb

TRADES = "market/binance_trades_btc_eth_20240808.parquet"
QUOTES = "market/binance_bookticker_btc_eth_20240808.parquet"
HISTORY = "orders/binance_cross_margin_orders_20251128_20260102.csv"
EVERY_NTH_QUOTE = 10

SYMBOL = "regexp_replace(symbol, 'USDT$', '/USDT')"
ORDERS = """
SELECT make_timestamp_ns(local_ts_ns) AS ts,
       symbol || '-' || trade_id AS order_id,
       CASE symbol WHEN 'BTCUSDT' THEN 'alpha' ELSE 'beta' END AS account,
       'taker' AS strategy, venue, {symbol} AS symbol,
       CASE WHEN buyer_is_maker THEN 'sell' ELSE 'buy' END AS side,
       'limit' AS type, qty AS size, price, false AS reduce_only
FROM read_parquet('{trades}') WHERE venue = 'binance_spot' ORDER BY local_ts_ns, trade_id
"""
MARKS = """
WITH quotes AS (
  SELECT *, row_number() OVER (PARTITION BY symbol ORDER BY local_ts_ns, update_id) AS place
  FROM read_parquet('{quotes}') WHERE venue = 'binance_spot'
), trades AS (
  SELECT symbol, local_ts_ns, arg_max(price, trade_id) AS price
  FROM read_parquet('{trades}') WHERE venue = 'binance_spot' GROUP BY ALL
)
SELECT make_timestamp_ns(q.local_ts_ns) AS ts, regexp_replace(q.symbol, 'USDT$', '/USDT') AS symbol,
       q.bid, q.ask, t.price AS last, q.bid_qty AS bid_depth, q.ask_qty AS ask_depth
FROM quotes q ASOF LEFT JOIN trades t ON q.symbol = t.symbol AND q.local_ts_ns >= t.local_ts_ns
WHERE q.place % {nth} = 1 ORDER BY q.local_ts_ns, q.symbol
"""


def cut(source: Path, out: Path) -> None:
    """Write the cuts of `source` into `out`, which exists."""
    database = duckdb.connect()
    database.execute("SET threads=1")
    files = {"trades": source / TRADES, "quotes": source / QUOTES}
    for name, query in (("orders", ORDERS), ("marks", MARKS)):
        sql = query.format(symbol=SYMBOL, nth=EVERY_NTH_QUOTE, **files)
        rows = database.execute(
            f"COPY ({sql}) TO '{out / name}.parquet' (FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 19)"
        ).fetchall()
        print(f"{name}.parquet: {rows[0][0]} rows")
    shutil.copyfile(source / HISTORY, out / Path(HISTORY).name)


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    cut(Path(sys.argv[1]), Path(sys.argv[2]))
