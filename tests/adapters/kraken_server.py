"""A local server that speaks the documented part of Kraken's REST interface that an order needs.

Written from Kraken's documentation, and knows nothing of the adapter. It checks keys, nonces and signatures,
keeps orders and trades, and does what it is told to do wrong: `fail("AddOrder", "drop after")`.
"""

import base64
import hashlib
import hmac
import json
import re
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

PAIRS: dict[str, dict[str, Any]] = {
    "XXBTZUSD": {
        "altname": "XBTUSD",
        "wsname": "XBT/USD",
        "base": "XXBT",
        "quote": "ZUSD",
        "pair_decimals": 1,
        "lot_decimals": 8,
        "ordermin": "0.0001",
        "costmin": "0.5",
        "tick_size": "0.1",
        "status": "online",
        "fees": [[0, 0.4]],
        "fees_maker": [[0, 0.25]],
    },
    "XETHZUSD": {
        "altname": "ETHUSD",
        "wsname": "ETH/USD",
        "base": "XETH",
        "quote": "ZUSD",
        "pair_decimals": 2,
        "lot_decimals": 3,
        "ordermin": "0.002",
        "costmin": "0.5",
        "status": "online",
        "fees": [],
        "fees_maker": [],
    },
    "OLDUSD": {
        "altname": "OLDUSD",
        "wsname": "OLD/USD",
        "base": "OLD",
        "quote": "ZUSD",
        "pair_decimals": 2,
        "lot_decimals": 2,
        "ordermin": "1",
        "status": "cancel_only",
        "fees": [],
        "fees_maker": [],
    },
}
ASSETS = {
    name: {"altname": alt, "decimals": 10, "display_decimals": 5, "status": "enabled"}
    for name, alt in (("XXBT", "XBT"), ("XETH", "ETH"), ("ZUSD", "USD"), ("OLD", "OLD"))
}
CL_ORD_ID = re.compile(
    r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9a-fA-F]{32}|[\x21-\x7e]{1,18}"
)
PAGE = 50


@dataclass
class KrakenServer:
    """One account's state; `now_ns` is moved by tests."""

    key: str
    secret: str
    now_ns: int
    url: str = ""
    orders: dict[str, dict[str, Any]] = field(default_factory=dict)
    trades: dict[str, dict[str, Any]] = field(default_factory=dict)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    held: list[dict[str, str]] = field(default_factory=list)
    last_nonce: int = 0
    stopped: threading.Event = field(default_factory=threading.Event)
    lock: threading.RLock = field(default_factory=threading.RLock)
    faults: dict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))
    balances: dict[str, Decimal] = field(default_factory=lambda: {"ZUSD": Decimal(100_000)})
    tokens: list[str] = field(default_factory=list)
    listeners: list[Callable[[dict[str, Any]], None]] = field(default_factory=list)

    def fail(self, endpoint: str, *kinds: str) -> None:
        """The next requests to an endpoint go wrong, each in its way; `ok` lets one pass."""
        self.faults[endpoint].extend(kinds)

    def asked(self, endpoint: str) -> list[dict[str, str]]:
        """The parameters of all requests to an endpoint."""
        return [given for name, given in self.requests if name == endpoint]

    def fill(self, txid: str, size: str, price: str, fee: str = "0.1") -> str:
        """An order trades; gives the trade's name."""
        with self.lock:
            order, name = self.orders[txid], f"T{len(self.trades):05d}-AAAAA-BBBBBB"
            self.trades[name] = {
                "ordertxid": txid,
                "pair": "XXBTZUSD" if order["descr"]["pair"] == "XBTUSD" else "XETHZUSD",
                "time": self.now_ns / 1e9,
                "type": order["descr"]["type"],
                "ordertype": order["descr"]["ordertype"],
                "price": price,
                "cost": str(Decimal(size) * Decimal(price)),
                "fee": fee,
                "vol": size,
                "misc": "",
            }
            order["trades"].append(name)
            order["vol_exec"] = str(Decimal(order["vol_exec"]) + Decimal(size))
            if Decimal(order["vol_exec"]) == Decimal(order["vol"]):
                order["status"] = "closed"
            pair = PAIRS[self.trades[name]["pair"]]
            cost, sign = Decimal(size) * Decimal(price), (
                1 if order["descr"]["type"] == "buy" else -1
            )
            self.move(pair["base"], sign * Decimal(size))
            self.move(pair["quote"], -sign * cost - Decimal(fee))
            traded = {"exec_id": name, "last_qty": float(size), "last_price": float(price)}
            self.report(txid, "trade", fees=[{"asset": "USD", "qty": float(fee)}], **traded)
            return name

    def end(self, txid: str, status: str, reason: str) -> None:
        """An order ends by itself, or by someone else's hand: `canceled` or `expired`."""
        with self.lock:
            self.orders[txid] |= {"status": status, "reason": reason}
            self.report(txid, status, reason=reason)

    def move(self, asset: str, amount: Decimal) -> None:
        """The account owns more of an asset, or less."""
        self.balances[asset] = self.balances.get(asset, Decimal(0)) + amount

    def report(self, txid: str, exec_type: str, **more: Any) -> None:
        """Tell listeners of an order, in the words of the websocket's channel `executions`."""
        for listener in list(self.listeners):
            listener(self.execution(txid, exec_type, **more))

    def execution(self, txid: str, exec_type: str, **more: Any) -> dict[str, Any]:
        """One report of that channel."""
        order = self.orders[txid]
        filled = Decimal(order["vol_exec"])
        status = {"open": "new", "closed": "filled"}.get(order["status"], order["status"])
        if status == "new" and filled:
            status = "partially_filled"
        told: dict[str, Any] = {
            "order_id": txid,
            "exec_type": exec_type,
            "order_status": status,
            "cum_qty": float(filled),
            "timestamp": datetime.fromtimestamp(self.now_ns / 1e9, UTC).isoformat(),
        }
        if exec_type not in ("canceled", "expired"):
            told |= {
                "symbol": order["descr"]["pair"].replace("XBTUSD", "BTC/USD"),
                "side": order["descr"]["type"],
                "order_type": order["descr"]["ordertype"],
                "order_qty": float(order["vol"]),
                "cl_ord_id": order["cl_ord_id"],
            }
        return told | more

    def let_in(self) -> list[dict[str, Any]]:
        """Orders that were held up on the way arrive now."""
        with self.lock:
            held, self.held = self.held, []
            return [self.answer("AddOrder", given) for given in held]

    def answer(self, endpoint: str, given: dict[str, str]) -> dict[str, Any]:
        """The answer's body."""
        try:
            result = getattr(self, f"on_{endpoint}")(given)
        except ValueError as error:
            return {"error": [str(error)]}
        return {"error": [], "result": result}

    def check(self, path: str, body: bytes, headers: Any) -> str:
        """What is wrong with a private request's key, nonce or signature."""
        given = dict(parse_qsl(body.decode()))
        nonce = given.get("nonce", "")
        if headers.get("API-Key") != self.key:
            return "EAPI:Invalid key"
        signed = path.encode() + hashlib.sha256(nonce.encode() + body).digest()
        expected = hmac.new(base64.b64decode(self.secret), signed, hashlib.sha512).digest()
        if not hmac.compare_digest(
            base64.b64encode(expected).decode(), headers.get("API-Sign", "")
        ):
            return "EAPI:Invalid signature"
        if not nonce.isdigit() or int(nonce) <= self.last_nonce:
            return "EAPI:Invalid nonce"
        self.last_nonce = int(nonce)
        return ""

    def on_Time(self, _: dict[str, str]) -> Any:  # noqa: N802
        return {"unixtime": self.now_ns // 10**9, "rfc1123": ""}

    def on_Assets(self, _: dict[str, str]) -> Any:  # noqa: N802
        return ASSETS

    def on_AssetPairs(self, _: dict[str, str]) -> Any:  # noqa: N802
        return PAIRS

    def on_AddOrder(self, given: dict[str, str]) -> Any:  # noqa: N802
        pair = PAIRS.get(given.get("pair", ""))
        if pair is None:
            raise ValueError("EQuery:Unknown asset pair")
        volume = given.get("volume", "")
        if not re.fullmatch(rf"\d+(\.\d{{1,{pair['lot_decimals']}}})?", volume):
            raise ValueError("EGeneral:Invalid arguments:volume")
        if Decimal(volume) < Decimal(pair["ordermin"]):
            raise ValueError("EGeneral:Invalid arguments:volume minimum not met")
        price = given.get("price", "0")
        if not re.fullmatch(rf"\d+(\.\d{{1,{pair['pair_decimals']}}})?", price):
            raise ValueError("EOrder:Invalid price")
        if (given["ordertype"] == "market") != (price == "0"):
            raise ValueError("EGeneral:Invalid arguments:price")
        if given["ordertype"] not in ("limit", "market", "stop-loss"):
            raise ValueError("EGeneral:Invalid arguments:ordertype")
        name = given.get("cl_ord_id")
        if name is not None and not CL_ORD_ID.fullmatch(name):
            raise ValueError("EGeneral:Invalid arguments:cl_ord_id")
        if name and any(
            each["cl_ord_id"] == name and each["status"] == "open" for each in self.orders.values()
        ):
            raise ValueError("EOrder:Invalid cl_ord_id")
        # A sale's fee comes out of the base unless something else is asked for.
        flags = given.get("oflags", "fciq" if given["type"] == "buy" else "fcib")
        if flags not in ("fciq", "fcib"):
            raise ValueError("EGeneral:Invalid arguments:oflags")
        if "deadline" in given:
            ahead = datetime.fromisoformat(given["deadline"]).timestamp() - self.now_ns / 1e9
            if ahead <= 0:
                raise ValueError("EService:Deadline elapsed")
            if ahead > 60:
                raise ValueError("EGeneral:Invalid arguments:deadline")
        txid = f"O{len(self.orders):05d}-CCCCC-DDDDDD"
        text = f"{given['type']} {volume} {pair['altname']} @ {given['ordertype']} {price}"
        self.orders[txid] = {
            "refid": None,
            "userref": None,
            "cl_ord_id": name,
            "status": "open",
            "opentm": self.now_ns / 1e9,
            "descr": {
                "pair": pair["altname"],
                "type": given["type"],
                "ordertype": given["ordertype"],
                "price": price,
                "price2": "0",
                "leverage": "none",
                "order": text,
                "close": "",
            },
            "vol": volume,
            "vol_exec": "0.00000000",
            "oflags": flags,
            "trades": [],
        }
        self.report(txid, "new")
        return {"descr": {"order": text}, "txid": [txid]}

    def on_CancelOrder(self, given: dict[str, str]) -> Any:  # noqa: N802
        found = [
            order
            for txid, order in self.orders.items()
            if order["status"] == "open"
            and (txid == given.get("txid") or order["cl_ord_id"] == given.get("cl_ord_id"))
        ]
        if not found:
            raise ValueError("EOrder:Unknown order")
        for order in found:
            order |= {"status": "canceled", "reason": "User requested"}
        for txid, order in self.orders.items():
            if any(order is each for each in found):
                self.report(txid, "canceled", reason="User requested")
        return {"count": len(found)}

    def on_Balance(self, _: dict[str, str]) -> Any:  # noqa: N802
        return {asset: f"{amount:f}" for asset, amount in self.balances.items()}

    def on_GetWebSocketsToken(self, _: dict[str, str]) -> Any:  # noqa: N802
        self.tokens.append(hashlib.sha256(str(len(self.tokens)).encode()).hexdigest())
        return {"token": self.tokens[-1], "expires": 900}

    def on_OpenOrders(self, given: dict[str, str]) -> Any:  # noqa: N802
        return {"open": self.chosen(given, {"open", "pending"})}

    def on_ClosedOrders(self, given: dict[str, str]) -> Any:  # noqa: N802
        closed = self.chosen(given, {"closed", "canceled", "expired"})
        return {"closed": closed, "count": len(closed)}

    def chosen(self, given: dict[str, str], states: set[str]) -> dict[str, Any]:
        """Orders in some states, of one name if one is given."""
        return {
            txid: order
            for txid, order in self.orders.items()
            if order["status"] in states and given.get("cl_ord_id") in (None, order["cl_ord_id"])
        }

    def on_QueryOrders(self, given: dict[str, str]) -> Any:  # noqa: N802
        names = given["txid"].split(",")
        if len(names) > 50 or any(name not in self.orders for name in names):
            raise ValueError("EOrder:Invalid order")
        with_trades = given.get("trades") == "true"
        return {
            name: {k: v for k, v in self.orders[name].items() if with_trades or k != "trades"}
            for name in names
        }

    def on_QueryTrades(self, given: dict[str, str]) -> Any:  # noqa: N802
        names = given["txid"].split(",")
        if len(names) > 20:
            raise ValueError("EGeneral:Invalid arguments:txid")
        return {name: self.trades[name] for name in names}

    def on_TradesHistory(self, given: dict[str, str]) -> Any:  # noqa: N802
        start, offset = float(given.get("start", 0)), int(given.get("ofs", 0))
        names = [name for name, trade in self.trades.items() if trade["time"] > start][::-1]
        page = names[offset : offset + PAGE]
        return {"trades": {name: self.trades[name] for name in page}, "count": len(names)}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body are two writes; together with a client that acknowledges late each answer took 40 ms.
    disable_nagle_algorithm = True
    state: KrakenServer

    def do_GET(self) -> None:
        self.handle_one("", b"")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.handle_one(self.path, body)

    def log_message(self, *_: Any) -> None:
        pass

    def handle_one(self, private_path: str, body: bytes) -> None:
        state, endpoint = self.state, self.path.partition("?")[0].rpartition("/")[2]
        given = dict(parse_qsl(body.decode()))
        with state.lock:
            state.requests.append((endpoint, given))
            state.headers.append(dict(self.headers))
            wrong = state.check(private_path, body, self.headers) if private_path else ""
            queue = state.faults[endpoint]
            fault = queue.popleft() if queue and not wrong else ""
            if wrong:
                answer = {"error": [wrong]}
            elif fault in ("", "ok", "drop after", "503 after", "timeout after", "garbage after"):
                answer = state.answer(endpoint, given)
            elif fault == "hold":
                state.held.append(given)
                answer = {}
            else:
                answer = {"error": [fault]}
        if fault in ("drop after", "drop before", "hold"):
            self.close_connection = True
        elif fault.startswith("timeout"):
            state.stopped.wait(30)
            self.close_connection = True
        elif fault.startswith("503"):
            self.reply(503, json.dumps({"error": ["EOrder:Insufficient funds"]}))
        elif fault == "garbage after":
            self.reply(200, "<html>busy</html>")
        elif fault == "redirect":
            self.reply(307, "", [("Location", state.url + self.path)])
        else:
            self.reply(200, json.dumps(answer))

    def reply(self, status: int, text: str, headers: Any = ()) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text.encode())))
        self.end_headers()
        self.wfile.write(text.encode())


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: Any) -> None:
        """A client that was killed breaks its connections; that is no fault of the server's."""


@contextmanager
def running(key: str, secret: str, now_ns: int) -> Iterator[KrakenServer]:
    """A server on a free port of this machine, for as long as the block runs."""
    state = KrakenServer(key, secret, now_ns)
    handler = type("Handler", (_Handler,), {"state": state})
    server = _Server(("127.0.0.1", 0), handler)
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        state.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
