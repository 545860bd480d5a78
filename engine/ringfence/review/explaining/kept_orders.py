"""The order to explain, out of what was kept: a row of a dry run, or a decision of an audit log.

Each is decided again, and has to come out as it was kept, bit for bit; else nothing is explained.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ringfence.backends.reference.decide import decide
from ringfence.errors import InputError
from ringfence.language.decision import Decision, Outcome
from ringfence.language.linking import LinkedSet
from ringfence.language.orders import Case

if TYPE_CHECKING:
    from ringfence.runtime.derive import Deriver

__all__ = ["Kept", "from_audit", "from_dry_run", "from_record"]

_COMPARED = (Outcome.PASS, Outcome.REDUCE, Outcome.BREACH)


@dataclass(frozen=True, slots=True)
class Kept:
    """A decision that was kept, as a case of the policy set that made it.

    Attributes:
        linked, case: What was asked.
        told: Where it comes from, in words.
        checks: What was compared with what was kept, in sentences.
    """

    linked: LinkedSet
    case: Case
    told: str
    checks: tuple[str, ...]


def from_dry_run(
    out: Path,
    *,
    row: int | None,
    order_id: str | None,
    mode: str | None,
    side: str,
    policies: str | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Kept:
    """A row of a dry run's decisions; its books are made again by replaying up to it.

    Args:
        out: The directory of the dry run's results.
        row: Of the table, from 1; or None, with `order_id`.
        order_id: Of the order.
        mode: `propagated` or `frozen`; None for the dry run's main one.
        side: `head` or `base`.
        policies: A SPEC of the same policies, where they lie elsewhere now.
        progress: Told how many orders are replayed, of how many.

    Raises:
        InputError: there is no such row, or what made it is no longer there.
        PolicyError: the policies or a mapping have faults.
    """
    from ringfence.replay.dry_run import request_of, table_name
    from ringfence.replay.remade import remake
    from ringfence.replay.request_file import read_request
    from ringfence.runtime.revisions import link_spec

    given, directory = read_request(out)
    request = request_of(given)
    mode = mode or ("frozen" if request.mode == "frozen" else "propagated")
    table = _Table((out / table_name(side, mode, request.mode)).absolute())
    position = table.position(row, order_id)
    spec = policies or (request.base if side == "base" else request.policies) or ""
    with _inside(directory if policies is None else None):
        linked = link_spec(spec, request.instruments)
    if linked.sha256 != table.policy_set:
        raise InputError(
            f"`{spec}` is no longer the policy set of this dry run ({table.policy_set[:12]}), "
            f"it is {linked.sha256[:12]} now",
            "name the policies as they were, as --policies git:REF, or run the dry run again",
        )
    with _inside(directory):
        remade = remake(request, linked, mode, position, progress)
    kept = table.row(position)
    wrong = [name for name, value in remade.row.items() if kept.get(name) != value]
    if wrong or remade.order_id != str(kept["order_id"]):
        raise InputError(
            f"row {position + 1} cannot be made again: "
            f"{'another order stands there' if not wrong else f'`{wrong[0]}` is another now'}",
            "the sources are no longer those of the dry run: run it again",
        )
    decision = decide(linked, remade.case)
    _same_decision(decision, kept, remade.columns, position)
    count = len(remade.columns)
    return Kept(
        linked,
        remade.case,
        f"row {position + 1} of {out / table.path.name} (order {remade.order_id}, {mode})",
        (
            f"replayed up to row {position + 1}: the engine decides what the table says, "
            f"and so does the interpreter, in all {count} gates, bit for bit",
        ),
    )


@contextmanager
def _inside(directory: Path | None) -> Iterator[None]:
    """Paths of the dry run are relative to where it ran; where that is gone, to where this runs."""
    before = Path.cwd()
    if directory is not None and directory.is_dir():
        os.chdir(directory)
    try:
        yield
    finally:
        os.chdir(before)


class _Table:
    """A table of decisions, of which only what is asked for is read."""

    def __init__(self, path: Path) -> None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        self.path = path
        try:
            self._file = pq.ParquetFile(path)
        except FileNotFoundError:
            raise InputError(
                f"`{path}` is not there: the dry run had no such side or mode",
                "choose another with --mode or --side-of",
            ) from None
        except (OSError, pa.ArrowInvalid):
            raise InputError(f"`{path}` cannot be read", "run the dry run again") from None
        metadata = self._file.schema_arrow.metadata or {}
        self.policy_set = metadata.get(b"ringfence.policy_set", b"").decode()
        self._rows: int = self._file.metadata.num_rows

    def position(self, row: int | None, order_id: str | None) -> int:
        if order_id is not None:
            return self._of_order(order_id)
        if row is None or not 1 <= row <= self._rows:
            raise InputError(
                f"the table has no row {row}" if row is not None else "no row is named",
                f"give --row 1 to {self._rows}, or --order-id",
            )
        return row - 1

    def _of_order(self, order_id: str) -> int:
        found, start = [], 0
        for batch in self._file.iter_batches(columns=["order_id"]):
            ids = batch.column(0).to_pylist()
            found += [start + place for place, each in enumerate(ids) if str(each) == order_id]
            start += len(ids)
        if not found:
            raise InputError(f"the table has no order `{order_id}`", "give its --row instead")
        if len(found) > 1:
            rows = ", ".join(str(each + 1) for each in found[:8])
            raise InputError(
                f"{len(found)} rows of the table are of an order `{order_id}`",
                f"give one of --row {rows}",
            )
        return found[0]

    def row(self, position: int) -> dict[str, Any]:
        """One row, without its time, of which Python's has too few digits."""
        for group in range(self._file.num_row_groups):
            rows = self._file.metadata.row_group(group).num_rows
            if position < rows:
                part = self._file.read_row_group(group).drop(["ts"]).slice(position, 1)
                found: dict[str, Any] = part.to_pylist()[0]
                return found
            position -= rows
        raise IndexError(position)


def _same_decision(
    decision: Decision, kept: dict[str, Any], columns: tuple[str, ...], position: int
) -> None:
    pairs = [
        ("decision", str(decision.decision), kept["decision"]),
        ("size", float(decision.size), kept["size"]),
        ("code", decision.code or None, kept["code"]),
    ]
    for column, gate in zip(columns, decision.gates, strict=True):
        pairs.append((f"{column}.outcome", str(gate.outcome), kept[f"{column}.outcome"]))
        if gate.outcome in _COMPARED:
            pairs.append((f"{column}.measure", gate.measure, kept[f"{column}.measure"]))
            pairs.append((f"{column}.limit", gate.limit, kept[f"{column}.limit"]))
    for name, found, told in pairs:
        if found != told:
            raise InputError(
                f"row {position + 1}: the interpreter finds `{name}` {found}, the table says {told}",
                "this should not happen: report it",
            )


# Audit logs


def from_audit(log: Path, wanted: str, store: Path | None = None) -> Kept:
    """A decision of an audit log, with the policy set that the log holds.

    Args:
        log: The log's directory.
        wanted: A sequence number, or the id of a decision.
        store: Where policy sets are that the log does not hold.

    Raises:
        InputError: there is no such decision, or it cannot be derived from what its record shows.
    """
    from ringfence.runtime.audit_decision import DECISION, POLICY_SET
    from ringfence.runtime.audit_head import check_there
    from ringfence.runtime.audit_reader import AuditReader

    reader = AuditReader(log)
    abouts: dict[str, dict[str, Any]] = {}
    found = None
    for record in reader.poll(complete=False):
        if found is None:
            if record.kind == POLICY_SET:
                abouts[str(record.body.get("policy_set"))] = record.body
            by_number = wanted.isascii() and wanted.isdigit() and record.sequence == int(wanted)
            if by_number or record.body.get("id") == wanted:
                found = reader.completed(record)
        elif str(found.body.get("policy_set")) in abouts:
            break
        elif record.kind == POLICY_SET:
            abouts.setdefault(str(record.body.get("policy_set")), record.body)
    if found is None:
        check_there(log)
    if found is None or found.kind != DECISION:
        raise InputError(
            f"the log holds no decision `{wanted}`",
            "give a sequence number (`ringfence audit tail` lists the last) or the id of a decision",
        )
    about = abouts.get(str(found.body.get("policy_set")))
    told = f"record {found.sequence} of {log}, decision {found.body.get('id')}"
    return from_record(found.body, about, told, store)


def from_record(
    body: dict[str, Any], about: dict[str, Any] | None, told: str, store: Path | None = None
) -> Kept:
    """A decision whose record is at hand.

    Args:
        body: Of the record.
        about: Body of the record of its policy set; None where there is none.
        told: Where it comes from, in words.
        store: Where policy sets are that no record holds.

    Raises:
        InputError: it cannot be derived from what its record shows.
    """
    from ringfence.runtime.audit_recompute import deriver_of
    from ringfence.runtime.policy_store import PolicyStore

    kept = None if store is None else PolicyStore(store)
    deriver = deriver_of(str(body.get("policy_set")), about, kept)
    case, linked, beside = _derived(body, deriver)
    return Kept(
        linked,
        case,
        told,
        (
            "derived again from its record: every gate and the decision are the same, bit for bit",
            *beside,
        ),
    )


def _derived(body: dict[str, Any], deriver: "Deriver") -> tuple[Case, LinkedSet, tuple[str, ...]]:
    """The case, the limits it is asked of, and what a guard was held to beside its policies."""
    from ringfence.runtime.derive import given_in
    from ringfence.runtime.recompute_record import How, recompute

    if body.get("repeated") is True:
        raise InputError(
            "this record repeats an earlier answer", "give the sequence number of the first one"
        )
    if body.get("evidence") is None:
        raise InputError(
            f"no gate was asked: {body.get('reason')}", "there is nothing further to explain"
        )
    given = given_in(body)
    deriver.know([given])
    result = recompute(body, deriver, given)
    if result.how is How.CUT:
        raise InputError(
            "a gate looked at more recent orders or quotes than the record shows",
            "`ringfence audit show` has what was recorded",
        )
    if result.differences or result.note:
        first = result.differences[0] if result.differences else None
        what = result.note if first is None else f"`{first.gate or first.field}` is another"
        raise InputError(
            f"the decision cannot be derived from its record: {what}",
            "see `ringfence audit reproduce`",
        )
    beside = []
    if given.reducing:
        why = given.held_off or "its policies were not confirmed in time"
        beside.append(
            f"the guard took only orders that reduce risk then ({why}): the firm's switch is shown as reducing"
        )
    if given.share is not None:
        beside.append("the firm's absolute limits are the share that this group of accounts had")
    return (*deriver.case(given), tuple(beside))
