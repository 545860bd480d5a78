"""The page of the metrics."""

from ringfence.runtime.metric_table import PARTS, Declared

from .markdown_text import page, table

__all__ = ["metrics_page"]

_UNITS = {
    "_seconds": "seconds",
    "_bytes": "bytes",
    "_ratio": "ratio",
    "_records": "records",
    "_cores": "cores",
    "_capital": "currency of the policy set",
    "_share": "ratio",
    "_fds": "descriptors",
}
_ACROSS = {"sum": "sum", "max": "largest", "min": "smallest", "each": "each, label `worker`"}


def metrics_page() -> str:
    """Return the page of the metrics, one table for each part of the service."""
    parts = []
    for title, rows in PARTS.items():
        parts += [
            f"## {title}",
            table(
                ["metric", "kind", "labels", "unit", "of several workers", "meaning"],
                [
                    [
                        f"`{_shown(row)}`",
                        row.kind,
                        ", ".join(f"`{label}`" for label in row.labels),
                        _unit(row),
                        _ACROSS[row.across],
                        row.help,
                    ]
                    for row in rows
                ],
            ),
        ]
    return page(
        "Metrics",
        "What the service tells Prometheus at `/metrics` of its metrics port (8000). Names and units are as "
        "Prometheus asks. A histogram `x` is told as `x_bucket`, `x_sum` and `x_count`; the last one counts. Moments "
        "are seconds since 1970, UTC, so that an age is `time() - x`. With `ringfence serve --workers` one scrape "
        "tells of all workers together, as the column says; a counter does not go back when a worker ends.",
        *parts,
    )


def _shown(row: Declared) -> str:
    return f"{row.name}_total" if row.kind == "counter" else row.name


def _unit(row: Declared) -> str:
    if row.name.endswith("_timestamp_seconds"):
        return "seconds since 1970"
    return next((unit for end, unit in _UNITS.items() if row.name.endswith(end)), "")
