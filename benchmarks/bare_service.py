"""A bare endpoint: the framework reads an order and answers with as much as a decision holds, and that is all."""

import sys
from dataclasses import dataclass
from decimal import Decimal

import uvicorn
from litestar import Litestar, get, post
from litestar.params import JSONBody


@dataclass(slots=True)
class Order:
    account: str
    symbol: str
    side: str
    size: Decimal
    price: Decimal
    type: str
    client_order_id: str


@dataclass(slots=True)
class Decision:
    id: str
    decision: str
    reason: str
    code: str
    size: Decimal
    policy_set: str
    decided_ns: int
    repeated: bool


@post("/v1/evaluate", status_code=200, sync_to_thread=False)
def evaluate(data: JSONBody[Order]) -> Decision:
    """The size that was asked."""
    return Decision(data.client_order_id, "APPROVE", "", "", data.size, "0" * 64, 0, False)


@get("/", sync_to_thread=False)
def alive() -> str:
    """Something, once it runs."""
    return "alive"


if __name__ == "__main__":
    app = Litestar([evaluate, alive], openapi_config=None)
    uvicorn.run(app, port=int(sys.argv[1]), access_log=False, log_level="warning")
