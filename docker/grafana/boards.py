"""Writes the boards of `dashboards/`, which are committed: `python docker/grafana/boards.py`.

A board is a list of panels, a panel a title, a kind, a unit and its queries; everything else is the same for all.
In queries `I` stands for the label of the instances that are looked at. A panel may have no data where its
description says `Empty while`; a test holds all others to have some.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).with_name("dashboards")
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH = 24
RATE = "[$__rate_interval]"
# Width and height of each kind, in Grafana's grid of 24.
SIZES = {
    "stat": (4, 4),
    "timeseries": (12, 8),
    "heatmap": (12, 8),
    "bargauge": (12, 8),
    "table": (12, 8),
}
OPTIONS: dict[str, dict[str, Any]] = {
    "stat": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "colorMode": "value",
        "graphMode": "area",
        "justifyMode": "auto",
        "orientation": "auto",
        "textMode": "auto",
    },
    "timeseries": {
        "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
        "tooltip": {"mode": "multi", "sort": "desc"},
    },
    "heatmap": {
        "calculate": False,
        "color": {"mode": "scheme", "scheme": "Oranges", "steps": 64},
        "yAxis": {"unit": "s"},
        "tooltip": {"show": True, "yHistogram": False},
    },
    "bargauge": {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        "orientation": "horizontal",
        "displayMode": "basic",
        "showUnfilled": True,
    },
    "table": {"showHeader": True},
}

Query = tuple[str, str]
Panel = dict[str, Any]


def panel(
    kind: str,
    title: str,
    unit: str,
    about: str,
    *queries: Query,
    red_from: float | None = None,
    most: float | None = None,
) -> Panel:
    """A panel; `queries` are pairs of legend and expression, red from `red_from` on."""
    steps: list[dict[str, Any]] = [{"color": "green", "value": None}]
    if red_from is not None:
        steps.append({"color": "red", "value": red_from})
    defaults: dict[str, Any] = {
        "unit": unit,
        "min": 0,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if most is not None:
        defaults["max"] = most
    form = {"heatmap": "heatmap", "table": "table"}.get(kind, "time_series")
    return {
        "type": kind,
        "title": title,
        "description": about,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": OPTIONS[kind],
        "targets": [
            {
                "refId": chr(ord("A") + n),
                "datasource": SOURCE,
                "expr": expression.replace("{I", '{instance=~"$instance"'),
                "legendFormat": legend,
                "format": form,
                "instant": kind == "table",
                "range": kind != "table",
            }
            for n, (legend, expression) in enumerate(queries)
        ],
    }


def quantiles(metric: str, by: str = "", labels: str = "") -> list[Query]:
    """Median, p99 and p99.9 of a histogram; with `by` p99 alone, for each."""
    if by:
        legend = " ".join(f"{{{{{name}}}}}" for name in by.split(","))
        return [
            (
                legend,
                f"histogram_quantile(0.99, sum by (le, {by}) (rate({metric}_bucket{{I{labels}}}{RATE})))",
            )
        ]
    return [
        (
            f"p{share * 100:g}",
            f"histogram_quantile({share}, sum by (le) (rate({metric}_bucket{{I{labels}}}{RATE})))",
        )
        for share in (0.5, 0.99, 0.999)
    ]


def rate(metric: str, by: str) -> Query:
    """How often a counter rises in a second, by labels."""
    legend = " ".join(f"{{{{{name}}}}}" for name in by.split(","))
    return legend, f"sum by ({by}) (rate({metric}{{I}}{RATE}))"


OVERVIEW = [
    panel("stat", "Kill switches set", "none", "Of firm, accounts, strategies, venues and symbols.",
        ("", "sum(ringfence_kill_switch{I} > bool 0)"), red_from=1),
    panel("stat", "Health checks failing", "none", "`/health` of port 8001 says why.",
        ("", "count(ringfence_health{I} == 0) or vector(0)"), red_from=1),
    panel("stat", "Decisions", "ops", "Orders decided in a second.",
        ("", f"sum(rate(ringfence_decisions_total{{I}}{RATE}))")),
    panel("stat", "Rejected", "percentunit", "Share of all orders.",
        ("", f'sum(rate(ringfence_decisions_total{{I,decision="REJECT"}}{RATE})) / sum(rate(ringfence_decisions_total{{I}}{RATE}))'),
        red_from=0.5, most=1),
    panel("stat", "Decision, p99", "s", "Recording included.",
        ("", f"histogram_quantile(0.99, sum by (le) (rate(ringfence_decision_seconds_bucket{{I}}{RATE})))"), red_from=0.005),
    panel("stat", "Working orders", "none", "Approved and not ended; each has its reservation.",
        ("", "sum(ringfence_working_orders{I})")),
    panel("stat", "Age of the set in force", "s", "Since the limits changed last.",
        ("", "time() - min(ringfence_policy_loaded_timestamp_seconds{I})")),
    panel("stat", "Limits last confirmed", "s", "Since the source was last found to hold what is in force.",
        ("", "time() - min(ringfence_policy_checked_timestamp_seconds{I})"), red_from=900),
    panel("stat", "Audit lag", "s", "Age of the oldest record that a database lacks.",
        ("", "max(ringfence_audit_sink_lag_seconds{I})"), red_from=60),
    panel("stat", "Audit log", "none", "1 while it takes records; at 0 every order is rejected.",
        ("", "min(ringfence_audit_log_ok{I})")),
    panel("stat", "Accounts that differ", "none", "From their venue; they take only orders that reduce risk.",
        ("", "sum(ringfence_unreconciled_accounts{I})"), red_from=1),
    panel("stat", "Approvals refused", "none", "Within the time shown; one is too many, but for those that ran out.",
        ("", "sum(increase(ringfence_approvals_refused_total{I}[$__range]))"), red_from=1),
    panel("timeseries", "Decisions by result", "ops", "Orders decided in a second.", rate("ringfence_decisions_total", "decision")),
    panel("timeseries", "Rejections by gate", "ops", "The gate that decided.", rate("ringfence_rejections_total", "gate")),
    panel("bargauge", "Closest limits", "percentunit", "Share of the limit that is used, now.",
        ("{{gate}} {{book}}", "topk(10, ringfence_limit_utilisation_ratio{I})"), red_from=0.9, most=1),
    panel("timeseries", "Health", "none", "1 while a check passes.", ("{{check}}", "min by (check) (ringfence_health{I})"), most=1),
    panel("table", "The set in force", "none", "Hash of the policy set, and the commit it comes from.",
        ("", "ringfence_policy_commit_info{I}")),
    panel("table", "Alerts that fire", "none", "Empty while none fires.",
        ("", 'ALERTS{alertstate="firing"}')),
    panel("timeseries", "Processor", "percentunit", "Of one core, by worker.",
        ("{{worker}}", f"rate(process_cpu_seconds_total{{I,job=\"ringfence\"}}{RATE})")),
    panel("timeseries", "Memory", "bytes", "In RAM, by worker, and what all of them may use.",
        ("{{worker}}", 'process_resident_memory_bytes{I,job="ringfence"}'), ("limit", "max(ringfence_memory_limit_bytes{I})")),
    panel("timeseries", "File descriptors", "none", "Open, by worker.", ("{{worker}}", 'process_open_fds{I,job="ringfence"}')),
    panel("timeseries", "Garbage collections", "ops", "Runs in a second, by generation.",
        rate("python_gc_collections_total", "generation")),
]  # fmt: skip

LATENCY = [
    panel("timeseries", "Decisions", "s", "From an order to its decision, recording included.", *quantiles("ringfence_decision_seconds")),
    panel("heatmap", "Decisions, spread", "s", "How many took how long.",
        ("{{le}}", f"sum by (le) (rate(ringfence_decision_seconds_bucket{{I}}{RATE}))")),
    panel("timeseries", "API, p99 by route", "s", "Until the answer begins.", *quantiles("ringfence_api_request_seconds", "method,route")),
    panel("timeseries", "API, requests", "reqps", "By route and class of status.",
        rate("ringfence_api_request_seconds_count", "method,route,status")),
    panel("timeseries", "Writes of the audit log", "s", "A group of records, sync included.", *quantiles("ringfence_audit_log_write_seconds")),
    panel("timeseries", "Writes to databases, p99", "s", "A batch of records, by sink.", *quantiles("ringfence_audit_sink_write_seconds", "sink")),
    panel("timeseries", "Requests to the shared state", "s", "Empty while books are not shared.", *quantiles("ringfence_state_request_seconds")),
    panel("timeseries", "Contention of the shared state", "ops", "Appends that came after another guard's. Empty while books are not shared.",
        ("conflicts", f"sum(rate(ringfence_state_conflicts_total{{I}}{RATE}))"),
        ("reconnects", f"sum(rate(ringfence_state_reconnects_total{{I}}{RATE}))")),
    panel("timeseries", "Cache of market data", "ops", "Symbols asked for, by what it had. Empty while there is no cache.",
        rate("ringfence_market_cache_total", "result")),
    panel("timeseries", "Errors of the shared state", "ops", "Empty while there are none.", rate("ringfence_state_errors_total", "kind")),
    panel("timeseries", "Reloads, p99", "s", "Reloads that were accepted or failed. Empty while there are none.",
        *quantiles("ringfence_policy_reload_seconds")),
    panel("timeseries", "Requests being answered", "none", "Now.", ("", "sum(ringfence_api_requests_running{I})")),
]  # fmt: skip

GATES = [
    panel("timeseries", "Rejections by gate and code", "ops", "No gate where none was asked.", rate("ringfence_rejections_total", "gate,code")),
    panel("table", "Rejections within the time shown", "none", "By gate and code.",
        ("", "sort_desc(sum by (gate, code) (increase(ringfence_rejections_total{I}[$__range])))")),
    panel("timeseries", "Decisions by result", "ops", "Orders decided in a second.", rate("ringfence_decisions_total", "decision")),
    panel("bargauge", "Utilisation by gate", "percentunit", "Of the book that is closest to its limit.",
        ("{{gate}}", "max by (gate) (ringfence_limit_utilisation_ratio{I})"), red_from=0.9, most=1),
    panel("timeseries", "Utilisation", "percentunit", "The ten closest pairs of gate and book.",
        ("{{gate}} {{book}}", "topk(10, ringfence_limit_utilisation_ratio{I})")),
    panel("timeseries", "Limits by how they stand", "none", "Without an order; unknown ones reject what adds risk.",
        ("{{outcome}}", "max by (outcome) (ringfence_limits{I})")),
    panel("timeseries", "Drawdown", "percentunit", "And its tightest limit, by book.",
        ("{{book}}", "max by (book) (ringfence_drawdown_ratio{I})"), ("{{book}} limit", "min by (book) (ringfence_drawdown_limit_ratio{I})")),
    panel("timeseries", "Loss of the day", "percentunit", "And its tightest limit, by book.",
        ("{{book}}", "max by (book) (ringfence_day_loss_ratio{I})"), ("{{book}} limit", "min by (book) (ringfence_day_loss_limit_ratio{I})")),
    panel("timeseries", "Kill switches", "none", "0 active, 1 reducing, 2 halted.",
        ("{{target}}", "max by (target) (ringfence_kill_switch{I})"), most=2),
    panel("timeseries", "Shadow set", "ops", "Decisions that it would have made otherwise. Empty while no set runs in the shadow.",
        rate("ringfence_shadow_decisions_total", "difference")),
    panel("timeseries", "Notices of the ledger", "ops", "Events that should not have happened. Empty while there are none.",
        rate("ringfence_ledger_notices_total", "code")),
    panel("stat", "Limits looked at", "s", "Since they were looked at last.",
        ("", "time() - min(ringfence_limits_sampled_timestamp_seconds{I})"), red_from=60),
]  # fmt: skip

AUDIT = [
    panel("timeseries", "Size of the log", "bytes", "And the size at which it takes no more.",
        ("{{worker}}", "ringfence_audit_log_bytes{I}"), ("{{worker}} limit", "ringfence_audit_log_limit_bytes{I}")),
    panel("timeseries", "Records", "ops", "Appended to the log, and written to databases, in a second.",
        ("log", f"sum(rate(ringfence_audit_log_records_total{{I}}{RATE}))"), rate("ringfence_audit_sink_records_total", "sink")),
    panel("timeseries", "Lag", "s", "Age of the oldest record that a database lacks.",
        ("{{sink}}", "max by (sink) (ringfence_audit_sink_lag_seconds{I})")),
    panel("timeseries", "Lag in records", "none", "Records that a database lacks.",
        ("{{sink}}", "max by (sink) (ringfence_audit_sink_lag_records{I})")),
    panel("timeseries", "Writes of the log", "s", "A group of records, sync included.", *quantiles("ringfence_audit_log_write_seconds")),
    panel("timeseries", "Writes to databases, p99", "s", "A batch of records.", *quantiles("ringfence_audit_sink_write_seconds", "sink")),
    panel("timeseries", "Failures of databases", "ops", "By kind. Empty while there are none.", rate("ringfence_audit_sink_errors_total", "sink,kind")),
    panel("timeseries", "Not durable yet", "none", "Records that wait for the disk.", ("", "max(ringfence_audit_log_pending_records{I})")),
    panel("timeseries", "It works", "none", "1 while the log takes records, and while a database does.",
        ("log", "min(ringfence_audit_log_ok{I})"), ("{{sink}}", "min by (sink) (ringfence_audit_sink_ok{I})"), most=1),
    panel("timeseries", "Reloads", "ops", "Looks at the source of the policies, by result.", rate("ringfence_policy_reloads_total", "result")),
    panel("timeseries", "Source of the policies", "none", "1 while it can be followed; 1 while a person holds a set.",
        ("followed", "min(ringfence_policy_source_ok{I})"), ("pinned", "max(ringfence_policy_pinned{I})"), most=1),
    panel("timeseries", "Lease of the policies", "s", "What is left of it. Empty while the guard has none.",
        ("", "min(ringfence_policy_lease_seconds{I})")),
]  # fmt: skip

EXCHANGE = [
    panel("timeseries", "Orders sent", "ops", "Handed to an exchange.", rate("ringfence_orders_sent_total", "venue")),
    panel("timeseries", "Approvals refused", "ops", "By code; nothing was sent.", rate("ringfence_approvals_refused_total", "venue,code")),
    panel("timeseries", "Calls", "reqps", "By operation.", rate("ringfence_exchange_request_seconds_count", "venue,operation")),
    panel("timeseries", "Calls, p99", "s", "By operation.", *quantiles("ringfence_exchange_request_seconds", "venue,operation")),
    panel("timeseries", "Errors", "ops", "Questions and orders that failed. Empty while there are none.", rate("ringfence_exchange_errors_total", "venue,code")),
    panel("timeseries", "Fills", "ops", "By what the guard made of them.", rate("ringfence_fills_total", "venue,account,result")),
    panel("timeseries", "Ends of orders", "ops", "By state. Empty while none has ended.", rate("ringfence_ends_total", "venue,state")),
    panel("timeseries", "Orders that wait", "none", "Over, and their fills are awaited; wanted ended, and still working.",
        ("{{account}} fills", "sum by (venue, account) (ringfence_orders_awaiting_fills{I})"),
        ("{{venue}} cancels", "sum by (venue) (ringfence_switch_cancels_open{I})"),
        ("{{venue}} cancels that fail", "sum by (venue) (ringfence_switch_cancels_failing{I})")),
    panel("timeseries", "Cancels", "ops", "Empty while none was asked for.", rate("ringfence_cancels_total", "venue,result")),
    panel("timeseries", "Looks that failed", "ops", "Empty while there are none.", rate("ringfence_follow_failures_total", "venue,account,error")),
    panel("timeseries", "Streams", "none", "1 while a connection tells of orders.", ("{{venue}} {{account}}", "min by (venue, account) (ringfence_stream_up{I})"), most=1),
    panel("timeseries", "Differences", "none", "Between books and exchange. Empty while all venues are paper.",
        ("{{venue}} {{account}}", "max by (venue, account) (ringfence_reconciliation_differences{I})")),
    panel("timeseries", "Comparisons", "ops", "Of an account with its venue, by result.", rate("ringfence_reconciliations_total", "result")),
    panel("timeseries", "Compared last", "s", "Since then. Empty while all venues are paper.",
        ("{{venue}} {{account}}", "time() - max by (venue, account) (ringfence_reconciled_timestamp_seconds{I})")),
]  # fmt: skip

BOARDS = {
    "overview": ("Overview", OVERVIEW),
    "latency": ("Latency", LATENCY),
    "gates": ("Gates", GATES),
    "audit": ("Audit", AUDIT),
    "exchange": ("Exchange", EXCHANGE),
}


def placed(panels: Sequence[Panel]) -> list[Panel]:
    """The panels from left to right, row by row."""
    found, x, y, height = [], 0, 0, 0
    for number, each in enumerate(panels, 1):
        w, h = SIZES[each["type"]]
        if x + w > WIDTH:
            x, y, height = 0, y + height, 0
        found.append({"id": number, "gridPos": {"x": x, "y": y, "w": w, "h": h}, **each})
        x, height = x + w, max(height, h)
    return found


def board(name: str) -> dict[str, Any]:
    """A board as Grafana reads it."""
    title, panels = BOARDS[name]
    return {
        "uid": f"ringfence-{name}",
        "title": f"Ringfence: {title}",
        "tags": ["ringfence"],
        "timezone": "utc",
        "editable": False,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "links": [
            {
                "type": "dashboards",
                "title": "Ringfence",
                "tags": ["ringfence"],
                "asDropdown": False,
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "icon": "external link",
                "tooltip": "",
                "url": "",
            }
        ],
        "templating": {
            "list": [
                {
                    "name": "datasource",
                    "label": "Prometheus",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {"selected": True, "text": "Prometheus", "value": "prometheus"},
                },
                {
                    "name": "instance",
                    "label": "Service",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": {
                        "query": "label_values(ringfence_build_info, instance)",
                        "refId": "instance",
                    },
                    "includeAll": True,
                    "allValue": ".*",
                    "multi": True,
                    "refresh": 2,
                    "sort": 1,
                    "current": {"selected": True, "text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": placed(panels),
    }


def text(name: str) -> str:
    """The file of a board."""
    return json.dumps(board(name), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    for each in BOARDS:
        (FOLDER / f"{each}.json").write_text(text(each), encoding="utf-8")
