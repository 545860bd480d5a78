"""Many orders in one request over HTTP: previewed as JSON and as Arrow, and decided with their records.

The service has one core, whoever asks the other. Requests are made beforehand and sent one after the other over one
connection. A preview reserves nothing and records nothing; what is decided is reserved and audited.
"""

import json
import random
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from itertools import count, repeat
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.generate import account_name
from benchmarks.market import SYMBOLS
from benchmarks.measure import Figure, pinned
from benchmarks.policy_files import policy_directory
from benchmarks.service import ROUNDS, SECONDS, SETTLE, our_service
from ringfence.service.api.batches import ARROW

__all__ = ["service_batch"]

#: Orders in one request.
PREVIEWED = 5_000
DECIDED = 1_000
#: Sizes and prices differ as those of a desk do: so many of each.
KINDS = 500
JSON = "application/json"


def service_batch(orders: int, directory: Path) -> list[Figure]:
    """Measure; the number of orders does not matter."""
    del orders
    policies = policy_directory(directory, 10)
    found: dict[str, list[float]] = {}
    for number in range(ROUNDS):
        # A new one each time: nobody ends the orders that are decided.
        with our_service(policies, directory / "service-batch") as (port, bearer):
            time.sleep(SETTLE)
            columns = preview_columns(PREVIEWED)
            rows = [
                dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)
            ]
            for name, media, body in (
                ("rows", JSON, json.dumps({"orders": rows}).encode("ascii")),
                ("columns", JSON, json.dumps({"orders": columns}).encode("ascii")),
                ("arrow", ARROW, arrow_of(columns)),
            ):
                rate = PREVIEWED * requests_a_second(
                    port, bearer, "/v1/preview/batch", media, repeat(body)
                )
                found.setdefault(name, []).append(rate)
            rate = DECIDED * requests_a_second(
                port, bearer, "/v1/evaluate/batch", JSON, decided(str(number))
            )
            found.setdefault("decided", []).append(rate)
    rates = {name: median(each) for name, each in found.items()}
    unit = "orders/s"
    return [
        Figure("service", "preview/batch, JSON rows", rates["rows"], unit),
        Figure(
            "service", "preview/batch, JSON columns", rates["columns"], unit, at_least=100_000.0
        ),
        Figure("service", "preview/batch, Arrow", rates["arrow"], unit, at_least=100_000.0),
        Figure("service", "evaluate/batch, audited", rates["decided"], unit),
    ]


def preview_columns(orders: int) -> dict[str, list[Any]]:
    """Orders as columns, the same every time."""
    chosen = random.Random(5)
    return {
        "account": [account_name(0)] * orders,
        "symbol": [next(iter(SYMBOLS)).name] * orders,
        "side": [chosen.choice(("buy", "sell")) for _ in range(orders)],
        "size": [str(chosen.randrange(1, KINDS)) for _ in range(orders)],
        "price": [f"{1 + chosen.randrange(KINDS) / 10_000:.4f}" for _ in range(orders)],
        "type": ["limit"] * orders,
    }


def arrow_of(columns: dict[str, list[Any]]) -> bytes:
    """The same as an Arrow stream."""
    import pyarrow as pa

    batch = pa.record_batch(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def decided(name: str) -> Iterator[bytes]:
    """Requests of which each has other orders, so little that a whole run stays within the limits."""
    about = {"account": account_name(0), "symbol": next(iter(SYMBOLS)).name}
    order = {**about, "side": "buy", "size": "1", "price": "1", "type": "limit"}
    for batch in count():
        orders = [{**order, "client_order_id": f"{name}-{batch}-{k}"} for k in range(DECIDED)]
        yield json.dumps({"orders": orders}).encode("ascii")


def requests_a_second(
    port: int, bearer: str, path: str, media: str, bodies: Iterator[bytes]
) -> float:
    """How many are answered; what it takes to make a body is not counted, and none may fail."""
    headers = {"authorization": bearer, "content-type": media}
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    answered, took = 0, 0.0
    with pinned():
        while took < SECONDS:
            body = next(bodies)
            started = time.perf_counter()
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            took += time.perf_counter() - started
            if answer.status != 200:
                raise RuntimeError(content.decode("utf-8", "replace"))
            answered += 1
    connection.close()
    return answered / took
