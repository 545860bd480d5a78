"""Every metric, declared once: its kind, its labels and what it means; parts tell values under these names.

The names are those of Prometheus, a counter's without the `_total` that it gets on the way out. Base units stand
in the name: seconds, bytes, ratio. Times are seconds since 1970, UTC.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from ringfence.runtime.metrics import HistogramValue, Metric, Sample

__all__ = ["METRICS", "PARTS", "Across", "Declared", "metric", "one"]

Kind = Literal["counter", "gauge", "histogram"]
Across = Literal["sum", "max", "min", "each"]


@dataclass(frozen=True, slots=True)
class Declared:
    """What is known of a metric beforehand.

    Attributes:
        name: As Prometheus takes it; of a counter without its `_total`.
        kind: Counters and histograms begin at 0 with the process; a gauge goes up and down.
        labels: Names of its labels, sorted.
        help: One line.
        across: What one scrape tells of several worker processes: the sum, the largest, the smallest, or each
            worker's own under a label `worker`. Histograms are always summed.
    """

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    across: Across


def metric(name: str, samples: Iterable[Sample]) -> Metric:
    """A declared metric with its values."""
    about = METRICS[name]
    return Metric(name, about.kind, about.help, tuple(samples))


def one(
    name: str, value: float | HistogramValue, labels: Mapping[str, str] | None = None
) -> Metric:
    """A declared metric with one value."""
    return metric(name, (Sample(labels or {}, value),))


def _row(name: str, kind: Kind, labels: str, help: str, across: Across = "sum") -> Declared:
    return Declared(f"ringfence_{name}", kind, tuple(sorted(labels.split())), help, across)


def _process(name: str, kind: Kind, help: str, *labels: str) -> Declared:
    return Declared(name, kind, labels, help, "each")


# Gauges of what several guards share, such as working orders, are the same in each worker, but for what one has not
# heard of yet: the larger one is nearer to the truth, or errs towards caution.
PARTS: dict[str, list[Declared]] = {
    "Decisions": [
        _row("decisions", "counter", "decision code", "Orders decided, by decision and code."),
        _row(
            "rejections",
            "counter",
            "gate code",
            "Orders rejected, by the gate that decided and the code; no gate where none was asked.",
        ),
        _row("decisions_repeated", "counter", "", "Answers given again."),
        _row(
            "decision_seconds",
            "histogram",
            "",
            "Time from an order to its decision, recording included.",
        ),
        _row(
            "working_orders",
            "gauge",
            "",
            "Approved orders that have not ended: one reservation each.",
            "max",
        ),
        _row("orphaned_orders", "gauge", "", "Orders of an earlier process that still work."),
        _row(
            "shadow_decisions",
            "counter",
            "difference",
            "Decisions beside a shadow set, by how the shadow differed.",
        ),
        _row("listener_errors", "counter", "", "Errors of listeners."),
    ],
    "Limits and switches": [
        _row("kill_switch", "gauge", "target", "0 active, 1 reducing, 2 halted.", "max"),
        _row(
            "limits",
            "gauge",
            "outcome",
            "Limits by how they stand without an order; unknown ones reject what adds risk.",
            "max",
        ),
        _row(
            "limit_utilisation_ratio",
            "gauge",
            "gate book",
            "Share of its limit that is used, of a gate and a book the closest; beyond 1 only what reduces risk passes.",
            "max",
        ),
        _row(
            "limit_series_folded",
            "gauge",
            "",
            "Pairs of gate and book that are told together, as those of the book `other`.",
            "max",
        ),
        _row(
            "drawdown_ratio",
            "gauge",
            "book",
            "Fall of a book from its peak, as a share of it.",
            "max",
        ),
        _row(
            "drawdown_limit_ratio",
            "gauge",
            "book",
            "The tightest limit on the drawdown of the book.",
            "min",
        ),
        _row("day_loss_ratio", "gauge", "book", "Loss of the day, as a share of its start.", "max"),
        _row(
            "day_loss_limit_ratio",
            "gauge",
            "book",
            "The tightest limit on the day's loss of the book.",
            "min",
        ),
        _row(
            "limits_sampled_timestamp_seconds",
            "gauge",
            "",
            "When the limits were looked at.",
            "min",
        ),
        _row("limits_failed", "counter", "", "Times that looking failed."),
        _row("unreconciled_accounts", "gauge", "", "Accounts that differ from their venue.", "max"),
        _row(
            "reconciliation_differences",
            "gauge",
            "venue account",
            "Differences between the books and the exchange, at the latest comparison.",
            "max",
        ),
        _row(
            "reconciled_timestamp_seconds",
            "gauge",
            "venue account",
            "When books and exchange were compared last; 0 for never.",
            "max",
        ),
        _row(
            "reconciliations",
            "counter",
            "result",
            "Comparisons of an account with its venue, by result.",
        ),
        _row(
            "ledger_notices",
            "counter",
            "code",
            "Events that were booked, or left out, but should not have happened.",
        ),
    ],
    "Policies": [
        _row("policy_info", "gauge", "policy_set", "The policy set that decides.", "max"),
        _row(
            "policy_loaded_timestamp_seconds",
            "gauge",
            "",
            "When the policy set came into force.",
            "min",
        ),
        _row("policy_lease_seconds", "gauge", "", "What is left of the lease.", "min"),
        _row("policy_reloads", "counter", "result", "Looks at the source, by result."),
        _row(
            "policy_reload_seconds",
            "histogram",
            "",
            "Time of reloads that were accepted or failed, without the debounce.",
        ),
        _row(
            "policy_checked_timestamp_seconds",
            "gauge",
            "",
            "When the source was last found to hold what is in force.",
            "min",
        ),
        _row(
            "policy_commit_info",
            "gauge",
            "sha commit",
            "The set in force, and the commit it comes from.",
            "max",
        ),
        _row("policy_source_ok", "gauge", "", "1 while the source can be followed.", "min"),
        _row("policy_pinned", "gauge", "", "1 while a person holds a set.", "max"),
        _row("policy_compiles", "counter", "", "Processes started to compile a set."),
    ],
    "Audit": [
        _row("audit_log_ok", "gauge", "", "1 while the audit log takes records.", "min"),
        _row("audit_log_bytes", "gauge", "", "Size of the audit log.", "each"),
        _row(
            "audit_log_limit_bytes",
            "gauge",
            "",
            "The size at which the log takes no more records.",
            "each",
        ),
        _row("audit_log_records", "counter", "", "Records appended since the log was opened."),
        _row(
            "audit_log_pending_records",
            "gauge",
            "",
            "Records that are not as durable as asked yet.",
            "max",
        ),
        _row(
            "audit_log_write_seconds",
            "histogram",
            "",
            "Time of writing a group of records, sync included.",
        ),
        _row("audit_sink_ok", "gauge", "sink", "1 while the sink's last write went well.", "min"),
        _row(
            "audit_sink_lag_records",
            "gauge",
            "sink",
            "Records of the audit log that the sink lacks.",
            "max",
        ),
        _row(
            "audit_sink_lag_seconds",
            "gauge",
            "sink",
            "Age of the oldest record that the sink lacks.",
            "max",
        ),
        _row("audit_sink_records", "counter", "sink", "Records that were written to the sink."),
        _row(
            "audit_sink_errors",
            "counter",
            "sink kind",
            "Failures of the sink, or of reading the log for it, by kind.",
        ),
        _row(
            "audit_sink_write_seconds", "histogram", "sink", "Time of handing a batch to the sink."
        ),
    ],
    "Shared state": [
        _row("state_requests", "counter", "op", "Requests to the store of shared books."),
        _row(
            "state_errors",
            "counter",
            "kind",
            "Requests to the store of shared books that failed, by what went wrong.",
        ),
        _row(
            "state_conflicts",
            "counter",
            "",
            "Appends that came after another guard's, and were decided again.",
        ),
        _row(
            "state_reconnects",
            "counter",
            "",
            "Connections to the store that stand again after one was lost or refused.",
        ),
        _row(
            "state_request_seconds",
            "histogram",
            "",
            "How long requests to the store of shared books took.",
        ),
        _row(
            "shared_books_conflicts",
            "counter",
            "",
            "Decisions made anew because another guard moved the books.",
        ),
        _row("shared_books_failures", "counter", "", "Times that the store could not be asked."),
        _row(
            "shared_books_rebuilt",
            "counter",
            "",
            "Times that the books were read anew from the store.",
        ),
        _row("shared_books_refused", "counter", "", "Events that could not have happened as told."),
        _row("shared_books_waiting", "gauge", "", "Events not in the store yet."),
        _row(
            "market_cache",
            "counter",
            "result",
            "Symbols that the cache of market data was asked for, by what it had.",
        ),
        _row("slice_capital", "gauge", "", "Capital of the firm that the group holds.", "max"),
        _row(
            "slice_share",
            "gauge",
            "",
            "Share of the firm's absolute limits that the group holds.",
            "max",
        ),
        _row(
            "slice_moves",
            "counter",
            "direction",
            "Times that this guard took a part of the firm's limits, or gave one back.",
        ),
        _row(
            "slice_reclaims",
            "counter",
            "",
            "Times that this guard gave back what another group did not use.",
        ),
    ],
    "Exchange": [
        _row("orders_sent", "counter", "venue", "Orders handed to an exchange."),
        _row("approvals_refused", "counter", "venue code", "Approvals that were not honoured."),
        _row("cancels", "counter", "venue result", "Cancels by their result."),
        _row(
            "exchange_request_seconds",
            "histogram",
            "venue operation",
            "Time of calls of an exchange, whatever came of them.",
        ),
        _row("exchange_errors", "counter", "venue code", "Questions and orders that failed."),
        _row(
            "fills",
            "counter",
            "venue account result",
            "Fills that were read, by what the guard made of them.",
        ),
        _row("ends", "counter", "venue account state", "Ends of orders that the guard was told."),
        _row(
            "follow_failures", "counter", "venue account error", "Looks at an account that failed."
        ),
        _row(
            "orders_awaiting_fills",
            "gauge",
            "venue account",
            "Orders that are over, and whose fills are awaited.",
            "max",
        ),
        _row("stream_up", "gauge", "venue account", "Whether a connection tells of orders.", "min"),
        _row(
            "switch_cancels",
            "counter",
            "venue result",
            "Orders that a kill switch ended, or failed to.",
        ),
        _row(
            "switch_cancels_open",
            "gauge",
            "venue",
            "Orders that a kill switch wants ended and that still work.",
            "max",
        ),
        _row(
            "switch_cancels_failing",
            "gauge",
            "venue",
            "Of them, orders that could not be cancelled again and again.",
            "max",
        ),
    ],
    "Service": [
        _row(
            "api_request_seconds",
            "histogram",
            "method route status",
            "Time of requests to the API and the dashboard, by route and class of status.",
        ),
        _row("api_requests_running", "gauge", "", "Requests that are being answered."),
        _row("health", "gauge", "check", "1 while the check passes, 0 while it fails.", "min"),
        _row("build_info", "gauge", "version", "The version that runs.", "max"),
        _row("metric_source_errors", "counter", "source", "Parts whose metrics could not be read."),
        _row("workers", "gauge", "", "Worker processes that are connected.", "max"),
        _row("worker_exits", "counter", "", "Worker processes that ended."),
    ],
    "Processes": [
        _row("memory_limit_bytes", "gauge", "", "Memory that the service may use.", "max"),
        _row("cpu_limit_cores", "gauge", "", "Processor cores that the service may use.", "max"),
        # The names that the clients of Prometheus have agreed on.
        _process("process_cpu_seconds", "counter", "Processor time spent, user and system."),
        _process("process_resident_memory_bytes", "gauge", "Memory that is held in RAM."),
        _process("process_virtual_memory_bytes", "gauge", "Address space."),
        _process("process_open_fds", "gauge", "Open file descriptors."),
        _process("process_max_fds", "gauge", "File descriptors that may be open."),
        _process("process_start_time_seconds", "gauge", "When the process began."),
        _process(
            "python_gc_objects_collected",
            "counter",
            "Objects that the garbage collector freed.",
            "generation",
        ),
        _process(
            "python_gc_objects_uncollectable",
            "counter",
            "Objects that the garbage collector could not free.",
            "generation",
        ),
        _process(
            "python_gc_collections", "counter", "Runs of the garbage collector.", "generation"
        ),
    ],
}
"""Every metric, by the part of the service that it tells of."""

METRICS: dict[str, Declared] = {each.name: each for rows in PARTS.values() for each in rows}
"""The same by name."""
