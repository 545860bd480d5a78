"""A desk that holds more symbols than a record tells in full each time, and what its decisions were made from."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ringfence.language.orders import OrderRequest
from ringfence.runtime.asked import Asked, MarketData, read_order
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.audit_log import AuditLog
from ringfence.runtime.audit_reader import AuditReader, Record
from ringfence.runtime.evaluator import Route
from ringfence.runtime.guard import CentralRiskGuard
from ringfence.runtime.guard_settings import GuardSettings
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import FixedClock
from runtime.desk import GATES, INSTRUMENTS, NOON, POLICY

HELD = 48
SYMBOLS = [f"C{k:02d}/USD" for k in range(HELD)]
_INSTRUMENT = '    {}: {{lot_step: "1", min_size: "1", tick_size: "0.01", multiplier: 1, base: {}, quote: USD}}\n'
_MORE = """
    - {rule: net-exposure@1, limits: {max: 90_000 USD, working: gross}}
"""


def large_policies(folder: Path, *, gross: bool = False, more: str = "") -> PolicySet:
    """The desk's; with `gross` a gate looks at what lots of other symbols are worth, too."""
    folder.mkdir(exist_ok=True)
    traded = "".join(_INSTRUMENT.format(name, name[:3]) for name in SYMBOLS)
    (folder / "instruments.yaml").write_text(INSTRUMENTS + traded)
    gates = GATES.replace("DAILY", "reject").replace("max_positions: 10", "max_positions: 200")
    text = POLICY + gates.strip("\n") + (_MORE if gross else "\n") + more
    (folder / "desk.yaml").write_text(text)
    return PolicySet.load(folder)


class LargeDesk:
    """A guard with its log and its state, that can be opened anew; it notes what its records have to say.

    Attributes:
        wanted: By the id of each decision, all that it was made from.
    """

    def __init__(self, place: Path, policy_set: PolicySet, *, segment_bytes: int = 1 << 20) -> None:
        self.place, self.policy_set = place, policy_set
        self.clock, self.wanted = FixedClock(NOON), dict[str, Any]()
        self._options: dict[str, Any] = {"segment_bytes": segment_bytes, "clock": self.clock}
        self._asked = 0
        self.open()
        for account in ("main", "other"):
            self.guard.on_balance(f"account/{account}", "opening", 100_000)
        for name in SYMBOLS:
            self.mark(name, 10.0)
            self.hold("main", name)

    def open(self) -> None:
        """Open log and guard, after what they kept."""
        self.log = AuditLog.open(self.place / "audit", durability="process", **self._options)
        self.guard = CentralRiskGuard.open(
            self.policy_set,
            audit=self.log,
            state=self.place / "state",
            clock=self.clock,
            settings=GuardSettings(),
        )
        noted(self.guard, self.wanted)

    def close(self) -> None:
        self.guard.close()
        self.log.close()

    def mark(self, symbol: str, price: float) -> None:
        now = self.clock.now_ns()
        self.guard.on_mark(symbol, MarketData(price, price, price, now))

    def hold(self, account: str, symbol: str, side: str = "buy", size: str = "1") -> None:
        self.guard.on_direct_fill(account, "", symbol, side, size, 10.0)

    def order(self, symbol: str, account: str = "main", **fields: Any) -> OrderRequest:
        self._asked += 1
        given = {"side": "buy", "size": "1", "price": "10", **fields}
        return OrderRequest(account, symbol, client_order_id=f"o{self._asked}", **given)

    def ask(self, symbol: str, account: str = "main", **fields: Any) -> str:
        """Have an order decided; the decision's id."""
        return self.guard.evaluate_order(self.order(symbol, account, **fields)).id

    def records(self, **options: Any) -> list[Record]:
        """The decisions of the log."""
        self.log.wait(self.log.last)
        found = AuditReader(self.place / "audit").poll(**options)
        return [each for each in found if each.kind == DECISION]


def noted(guard: CentralRiskGuard, wanted: dict[str, Any]) -> None:
    """Let the guard note what each of its records has to say."""
    shown, body = guard._shown, guard._take_record
    waiting: dict[int, Any] = {}

    def show(route: Route, *, unwritten: bool = False) -> Any:
        whole = decode(guard.evaluator.evidence(route).encode("ascii"))
        found = shown(route, unwritten=unwritten)
        waiting[id(found)] = found, whole
        return found

    def take(answer: Any, *rest: Any) -> int:
        wanted[answer.decision_id] = waiting.pop(id(rest[3]))[1]
        return body(answer, *rest)

    guard._shown, guard._take_record = show, take  # type: ignore[method-assign]
    fitting = guard._usual._fitting

    def fit(books: Any) -> Any:
        live, sorts = fitting(books)
        read = type(sorts).read

        def reads(given: OrderRequest) -> Any:
            evaluator, asked = guard.evaluator, read_order(given)
            route = evaluator.route(asked) if isinstance(asked, Asked) else asked
            lots = evaluator.lots(route, asked) if isinstance(route, Route) else route
            if isinstance(lots, int):
                evaluator.ask(route, asked, lots, books.now_ns)
                whole = decode(evaluator.evidence(route).encode("ascii"))
                # Of an order that is decided in another way it is noted there.
                wanted[f"{guard._run}-{guard._count + 1}"] = whole
            return read(sorts, given)

        sorts.read = reads
        return live, sorts

    guard._usual._fitting = fit  # type: ignore[method-assign]


def told_by_changes(record: Record) -> list[dict[str, Any]]:
    """What a record, as it was written, says of the earlier ones that it names."""
    return [each[7] for each in record.body["evidence"]["books"] if len(each) == 8]


Edit = Callable[[dict[str, Any]], Any]
