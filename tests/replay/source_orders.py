"""Files of orders for the tests of sources."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

START = 1_700_000_000_000_000_000
CSV = """ts,order_id,account,strategy,venue,symbol,side,type,size,price,reduce_only,end_ts
2024-01-01T00:00:00Z,001,a,s,v,BTC/USDT,buy,limit,0.1,100.5,false,
2024-01-01T00:00:01Z,002,b,s,v,ETH/USDT,SELL,market,2,,true,
2024-01-01T00:00:02Z,003,a,t,v,BTC/USDT,b,stop-limit,0.3,99,,2024-01-01T00:00:05Z
"""


def saved(folder: Path, text: str, name: str = "orders.csv") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def table(count: int = 500, **changed: Any) -> pa.Table:
    random = np.random.default_rng(7)
    columns: dict[str, Any] = {
        "ts": pa.array(START + np.arange(count) * 1_000_000 // 3),
        "order_id": [f"o{place}" for place in range(count)],
        "account": [f"a{place}" for place in random.integers(0, 7, count)],
        "strategy": [f"s{place}" for place in random.integers(0, 3, count)],
        "venue": ["v"] * count,
        "symbol": [f"S{place}/USDT" for place in random.integers(0, 5, count)],
        "side": random.choice(["buy", "sell"], count),
        "type": random.choice(["limit", "market"], count),
        "size": np.round(random.uniform(0.001, 5, count), 3),
        "price": np.round(random.uniform(1, 100, count), 2),
        "reduce_only": random.random(count) < 0.1,
    }
    columns.update(changed)
    return pa.table({name: value for name, value in columns.items() if value is not None})


def parquet(folder: Path, rows: pa.Table, name: str = "orders.parquet", group: int = 137) -> str:
    pq.write_table(rows, folder / name, row_group_size=group)
    return str(folder / name)
