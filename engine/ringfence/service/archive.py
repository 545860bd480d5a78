"""Decisions that were made: the newest from memory, older ones from where the audit log is copied to.

Pages go back in time by the number of the record. Each looks through a bounded number of records, so that a
filter which hardly anything passes gives a short page, and a cursor to go on from.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from ringfence.errors import AuditError, AuditSinkError
from ringfence.runtime.audit_codec import decode
from ringfence.runtime.audit_decision import DECISION, POLICY_SET
from ringfence.runtime.audit_head import chain_of
from ringfence.runtime.audit_reader import AuditReader
from ringfence.runtime.audit_told import may_be_in_part
from ringfence.service.desk import Desk
from ringfence.service.events import KEPT, EventHub
from ringfence.service.opening.audit import READER, postgres_server
from ringfence.service.opening.books import guard_name

__all__ = ["Archive", "DecisionRow", "Filter", "Page", "Stored", "open_archive", "row_of"]

# Records that are looked at together, and how often at most for one page.
_WINDOW, _MOST_WINDOWS = 4_000, 25
# After so long a database is not waited for.
_SECONDS = 10.0


class _Order(msgspec.Struct):
    account: Any = None
    strategy: Any = None
    venue: Any = None
    symbol: Any = None
    side: Any = None
    type: Any = None
    size: Any = None
    price: Any = None
    client_order_id: Any = None


class _Inputs(msgspec.Struct):
    order: _Order | str | None = None


class _Body(msgspec.Struct):
    id: str = ""
    decision: str = ""
    code: str = ""
    reason: str = ""
    size: Any = None
    policy_set: str = ""
    decided_ns: int = 0
    repeated: bool = False
    request_id: str = ""
    inputs: _Inputs | None = None


_BODY = msgspec.json.Decoder(_Body)
_NO_ORDER = _Order()


class DecisionRow(NamedTuple):
    """One decision in short; text is as it was asked, empty or None where there is none."""

    sequence: int
    id: str
    decided_ns: int
    account: str
    strategy: str
    venue: str
    symbol: str
    side: str
    type: str
    asked: str | None
    price: str | None
    client_order_id: str
    decision: str
    code: str
    reason: str
    size: str
    policy_set: str
    repeated: bool
    request_id: str


class Stored(NamedTuple):
    """A record: its number, and its body as JSON."""

    sequence: int
    content: bytes


def row_of(sequence: int, content: bytes) -> DecisionRow:
    """A decision's record in short."""
    body = _BODY.decode(content)
    order = body.inputs.order if body.inputs is not None else None
    if not isinstance(order, _Order):
        order = _NO_ORDER
    return DecisionRow(
        sequence,
        body.id,
        body.decided_ns,
        _text(order.account) or "",
        _text(order.strategy) or "",
        _text(order.venue) or "",
        _text(order.symbol) or "",
        _text(order.side) or "",
        _text(order.type) or "",
        _text(order.size),
        _text(order.price),
        _text(order.client_order_id) or "",
        body.decision,
        body.code,
        body.reason,
        _text(body.size) or "0",
        body.policy_set,
        body.repeated,
        body.request_id,
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which decisions are wanted; None for all. `accounts` are those that may be seen."""

    accounts: frozenset[str] | None = None
    account: str | None = None
    symbol: str | None = None
    strategy: str | None = None
    decision: str | None = None
    code: str | None = None
    from_ns: int | None = None
    until_ns: int | None = None
    client_order_id: str | None = None
    request_id: str | None = None

    def fits(self, row: DecisionRow) -> bool:
        """Whether a decision is wanted."""
        return (
            (self.accounts is None or row.account in self.accounts)
            and self.account in (None, row.account)
            and self.symbol in (None, row.symbol)
            and self.strategy in (None, row.strategy)
            and self.decision in (None, row.decision)
            and self.code in (None, row.code)
            and self.client_order_id in (None, row.client_order_id)
            and self.request_id in (None, row.request_id)
            and (self.from_ns is None or row.decided_ns >= self.from_ns)
            and (self.until_ns is None or row.decided_ns < self.until_ns)
        )


class Page(NamedTuple):
    """Decisions, the newest first, and the number before which the next page begins; None where it is the last."""

    rows: list[DecisionRow]
    before: int | None


class Copy(Protocol):
    """Where the log is copied to."""

    def between(self, first: int, before: int) -> list[Stored]:
        """Decisions from one number up to before another, the newest first."""
        ...

    def named(self, decision_id: str) -> Stored | None:
        """The record of a decision, the first of its id."""
        ...

    def policy_set(self, sha256: str) -> bytes | None:
        """The body of a record that describes a policy set."""
        ...


class Archive:
    """All decisions.

    Args:
        hub: Has the newest.
        copy: Has all, but perhaps not the newest.
        log: The log's directory.
        of_other: Where to look for a decision of another worker, by its id; None for one of this worker.
    """

    def __init__(
        self,
        hub: EventHub,
        copy: Copy,
        log: Path,
        of_other: Callable[[str], Sequence[Copy] | None] = lambda _: None,
    ) -> None:
        self._hub, self._copy, self._log, self._of_other = hub, copy, log, of_other

    def page(self, wanted: Filter, before: int | None, limit: int) -> Page:
        """The newest decisions that are wanted.

        Args:
            wanted: Which.
            before: Only records with smaller numbers.
            limit: So many.

        Raises:
            AuditError: what is older than what memory holds cannot be read.
        """
        self._hub.look()
        rows: list[DecisionRow] = []
        for each in self._hub.decisions(before):
            if _take(rows, wanted, each.sequence, each.content, limit):
                return Page(rows, each.sequence)
        end = min(self._hub.first_decision, before or self._hub.first_decision)
        for _ in range(_MOST_WINDOWS):
            if end <= 1 or (rows and wanted.from_ns and rows[-1].decided_ns < wanted.from_ns):
                return Page(rows, None)
            first = max(1, end - _WINDOW)
            try:
                found = self._copy.between(first, end)
            except AuditError:
                # What is known is told; whoever goes on from there is told what is wrong.
                if rows:
                    return Page(rows, end)
                raise
            for record in found:
                if _take(rows, wanted, record.sequence, record.content, limit):
                    return Page(rows, record.sequence)
            end = first
        return Page(rows, end if end > 1 else None)

    def find(self, decision_id: str) -> Stored | None:
        """The record of a decision, of any worker; None where there is none.

        Raises:
            AuditError: what is older than what memory holds cannot be read.
        """
        for copy in self._of_other(decision_id) or ():
            # This worker may have given the same answer again; the decision itself says what it was decided on.
            if found := copy.named(decision_id):
                return found
        return self._find_here(decision_id)

    def _find_here(self, decision_id: str) -> Stored | None:
        self._hub.look()
        wanted = f'"id":"{decision_id}"'.encode("ascii", "replace")
        found = None
        # An answer that was given again has the same id: the first of them is the decision itself.
        for each in self._hub.decisions(None):
            if wanted in each.content and each.body.get("id") == decision_id:
                found = Stored(each.sequence, each.content)
        if found is not None and not _BODY.decode(found.content).repeated:
            return self._completed(found)
        return self._copy.named(decision_id) or found

    def _completed(self, found: Stored) -> Stored | None:
        """A record of memory, which has them as they were written, with all that it says by naming an earlier one."""
        if not may_be_in_part(DECISION, found.content):
            return found
        reader = AuditReader(self._log, after=found.sequence - 1)
        try:
            record = next(reader.poll_raw(complete=True), None)
        except AuditError:
            # Retention may have taken its file away.
            record = None
        if record is not None and record.sequence == found.sequence:
            return Stored(record.sequence, record.body)
        return self._copy.named(_BODY.decode(found.content).id)

    def policy_set(self, sha256: str) -> dict[str, Any]:
        """What the log says of a policy set; empty where it says nothing."""
        for each in self._hub.recent(POLICY_SET, 1, lambda body: body.get("policy_set") == sha256):
            return each.body
        content = self._copy.policy_set(sha256)
        found: dict[str, Any] = {} if content is None else decode(content)
        return found


def open_archive(desk: Desk, hub: EventHub) -> Archive:
    """The archive of a service: its sink, or the log itself where it has none."""
    log, sink = desk.data / "audit", desk.settings.audit.sink
    copy: Copy = _LogItself(log)
    if sink == "duckdb":
        copy = _Duckdb(desk.data / "audit.duckdb")
    elif sink == "postgres":
        copy = _Postgres(log)
    return Archive(hub, copy, log, partial(_of_other, desk))


def _of_other(desk: Desk, decision_id: str) -> Sequence[Copy] | None:
    """Where another worker of this service has a decision; its DuckDB file is open to that worker alone."""
    settings = desk.settings
    if settings.server.workers == 1:
        return None
    name, _, number = decision_id.rsplit("-", 2)[0].rpartition(".")
    if not number.isascii() or not number.isdigit() or int(number) >= settings.server.workers:
        return None
    worker = int(number)
    if worker == desk.worker or guard_name(settings, worker) != f"{name}.{worker}":
        return None
    log = settings.data_of(worker) / "audit"
    # What a database has not got yet lies in the log.
    return (
        (_Postgres(log), _LogItself(log))
        if settings.audit.sink == "postgres"
        else (_LogItself(log),)
    )


class _Duckdb:
    """A DuckDB file that this process writes."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def between(self, first: int, before: int) -> list[Stored]:
        return self._ask(
            "kind = 'decision' AND seq >= $first AND seq < $before ORDER BY seq DESC",
            {"first": first, "before": before},
        )

    def named(self, decision_id: str) -> Stored | None:
        found = self._ask(
            "kind = 'decision' AND contains(body::VARCHAR, $words) ORDER BY seq LIMIT 1",
            {"words": f'"id":"{decision_id}"'},
        )
        return found[0] if found else None

    def policy_set(self, sha256: str) -> bytes | None:
        found = self._ask(
            "kind = 'policy-set' AND body->>'$.policy_set' = $sha256 LIMIT 1", {"sha256": sha256}
        )
        return found[0].content if found else None

    def _ask(self, where: str, parameters: dict[str, Any]) -> list[Stored]:
        from ringfence.adapters.audit_duckdb_question import ask_file

        sql = f"SELECT seq, body::VARCHAR FROM records WHERE {where}"  # nosec B608  # texts of ours
        return _stored(ask_file(self._path, sql, parameters))


class _Postgres:
    """A PostgreSQL database, which may hold the records of several logs."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def between(self, first: int, before: int) -> list[Stored]:
        return self._ask(
            "kind = 'decision' AND seq >= %(first)s AND seq < %(before)s ORDER BY seq DESC",
            {"first": first, "before": before},
        )

    def named(self, decision_id: str) -> Stored | None:
        found = self._ask(
            "seq = (SELECT min(seq) FROM decisions WHERE chain = %(chain)s AND id = %(id)s)",
            {"id": decision_id},
        )
        return found[0] if found else None

    def policy_set(self, sha256: str) -> bytes | None:
        found = self._ask(
            "kind = 'policy-set' AND body::jsonb->>'policy_set' = %(sha256)s LIMIT 1",
            {"sha256": sha256},
        )
        return found[0].content if found else None

    def _ask(self, where: str, parameters: dict[str, Any]) -> list[Stored]:
        from ringfence.adapters.audit_postgres import ask

        header = chain_of(self._log)
        parameters["chain"] = "" if header is None else header.chain
        sql = (
            f"SELECT seq, body::text FROM records WHERE chain = %(chain)s AND {where}"  # nosec B608
        )
        try:
            return _stored(ask(postgres_server(), sql, parameters, seconds=_SECONDS)[1])
        except AuditSinkError as error:
            if error.kind != "rights":
                raise
            raise AuditSinkError(
                "rights",
                f"decisions older than the newest {KEPT:,} cannot be read: the service's user of the database "
                f"lacks the role `{READER}`",
                f"as the database's owner: GRANT {READER} TO the user of `RINGFENCE_POSTGRES_URL`",
            ) from None


def _stored(rows: list[tuple[Any, ...]]) -> list[Stored]:
    return [Stored(sequence, str(body).encode("utf-8")) for sequence, body in rows]


class _LogItself:
    """The log, for a service without a sink: slower the larger its files are."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def between(self, first: int, before: int) -> list[Stored]:
        found = []
        try:
            for each in AuditReader(self._log, after=first - 1).poll_raw():
                if each.sequence >= before:
                    break
                if each.kind == DECISION:
                    found.append(Stored(each.sequence, each.body))
        except AuditError as error:
            if "no longer" not in error.message:
                raise
        return found[::-1]

    def named(self, decision_id: str) -> Stored | None:
        wanted = f'"id":"{decision_id}"'.encode("ascii", "replace")
        reader = AuditReader(self._log)
        for each in reader.poll_raw():
            if each.kind == DECISION and wanted in each.body:
                return Stored(each.sequence, reader.completed_raw(each).body)
        return None

    def policy_set(self, sha256: str) -> bytes | None:
        for each in AuditReader(self._log).poll_raw():
            if each.kind == POLICY_SET and sha256.encode("ascii") in each.body:
                return each.body
        return None


def _take(
    rows: list[DecisionRow], wanted: Filter, sequence: int, content: bytes, limit: int
) -> bool:
    """Add a decision where it is wanted; whether the page is full."""
    row = row_of(sequence, content)
    if wanted.fits(row):
        rows.append(row)
    return len(rows) >= limit


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else str(value)
