"""The report of a dry run: one HTML file that asks nothing of any network, legible years later.

Everything is inside: style, script, plots and numbers. A content security policy by hashes lets no
other style or script run and no request leave, whatever the names in the data are; the template
escapes by default on top of that.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from ringfence.replay import wording
from ringfence.replay.report_figures import figures

__all__ = ["render_html", "security_policy"]

_ASSETS = "report_assets"
_LARGEST = 6
_PARTS_SHOWN = 50
_EXAMPLES_SHOWN = 10

Json = Mapping[str, Any]


def render_html(summary: dict[str, Any]) -> str:
    """Return a dry run's report as one self-contained HTML document.

    Args:
        summary: What `schemas/dry-run-summary.v1.schema.json` describes.

    Returns:
        HTML in UTF-8, ending with a line break; the same text for the same summary.
    """
    from jinja2 import Environment, StrictUndefined

    style, script = _asset("report.css"), _asset("report.js")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals.update(_words())
    drawn = figures(summary)
    page = environment.from_string(_asset("report.html.j2")).render(
        summary=summary,
        style=style,
        script=script,
        policy=security_policy(style, script),
        figures=drawn.by_section,
        data=_json_for_script(drawn.data),
        **_facts(summary),
    )
    return page.rstrip() + "\n"


def _asset(name: str) -> str:
    return (files("ringfence.replay") / _ASSETS / name).read_text(encoding="utf-8")


def security_policy(style: str, script: str) -> str:
    """Return a content security policy that lets this style and this script run, and nothing else."""

    def hashed(text: str) -> str:
        digest = hashlib.sha256(text.encode("utf-8")).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"

    return (
        f"default-src 'none'; style-src {hashed(style)}; script-src {hashed(script)}; "
        "img-src data:; base-uri 'none'; form-action 'none'"
    )


def _json_for_script(data: object) -> str:
    """Return JSON that cannot end the script element that holds it."""
    text = json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _words() -> dict[str, Callable[..., str]]:
    names = "clip count decision_word measured moment money percent plural quantity remark_of share visible"
    return {name: getattr(wording, name) for name in names.split()}


def _facts(summary: Json) -> dict[str, Any]:
    """Return what the template shows that is not a figure of the summary as it stands."""
    head, base = wording.primary_runs(summary)
    changes = summary["changes"]
    examples = changes["examples"] if changes else []
    largest = sorted(examples, key=lambda row: -(row["notional"] or 0.0))[:_LARGEST]
    return {
        "verdict": wording.verdict(summary),
        "mode": wording.primary_mode(summary),
        "modes": wording.MODES,
        "decisions": wording.DECISIONS,
        "head": head,
        "base": base,
        "runs": wording.all_runs(summary),
        "gates": wording.ranked_gates(head),
        "gauge": _gauges(head, base),
        "largest": largest,
        "kinds": [_kind(row) for row in examples],
        "gates_changed": sorted({str(row["gate"]) for row in examples if row["gate"]}),
        "blocked": _blocked(head, base),
        "unreplayable_rows": wording.unreplayable_rows(summary),
        "parts": [
            (name, head[key][:_PARTS_SHOWN], len(head[key]) - _PARTS_SHOWN)
            for name, key in (
                ("account", "by_account"),
                ("strategy", "by_strategy"),
                ("symbol", "by_symbol"),
            )
        ],
        "examples_shown": _EXAMPLES_SHOWN,
        "currency": changes["currency"] if changes else head["notional"]["currency"],
    }


def _kind(row: Json) -> str:
    """Return what happens to an order, in the words of the summary's counts."""
    before, after = row["base"]["decision"], row["head"]["decision"]
    return "resized" if before == after else f"newly {wording.decision_word(after)}"


def _gauges(head: Json, base: Json | None) -> dict[str, Any]:
    """Return the widths, on a scale of 0 to 100, of each gate's bar of utilisation.

    All bars share one scale, which ends a little beyond the limit, or at twice the limit when a
    gate went further. `limit` is where the limit stands on it.
    """

    def peak(gate: Json) -> float:
        use = gate["utilisation"]
        return float(use["peak"] or 0.0) if use else 0.0

    top = min(2.0, max([1.08, *(peak(gate) * 1.04 for gate in head["gates"])]))

    def width(ratio: float | None) -> float:
        return round(100.0 * min(max(ratio or 0.0, 0.0) / top, 1.0), 2)

    before = {_key(gate): gate for gate in base["gates"]} if base else {}
    bars = {}
    for gate in head["gates"]:
        use = gate["utilisation"]
        if use:
            old = before.get(_key(gate))
            bars[_key(gate)] = {
                **{name: width(use[name]) for name in ("p50", "p90", "peak")},
                "base": width(peak(old)) if old and old["utilisation"] else None,
                "base_peak": old["utilisation"]["peak"] if old and old["utilisation"] else None,
            }
    return {"limit": width(1.0), "bars": bars, "key": _key}


def _key(gate: Json) -> tuple[str, str]:
    return str(gate["gate"]), str(gate["level"])


def _blocked(head: Json, base: Json | None) -> Sequence[Json]:
    """Return the gates that held orders back on either side, with bars on one common scale."""
    sides = {"head": head["by_gate"], "base": base["by_gate"] if base else []}
    rows: dict[str, dict[str, Any]] = {}
    for side, listed in sides.items():
        for row in listed:
            rows.setdefault(row["gate"], {"gate": row["gate"]})[side] = row
    none = {"reject": 0, "reduce": 0, "notional": 0.0}
    most = 1
    for found in rows.values():
        for side in sides:
            found.setdefault(side, none)
            most = max(most, found[side]["reject"] + found[side]["reduce"])
    for found in rows.values():
        found["bars"] = {
            side: [round(100.0 * found[side][k] / most, 2) for k in ("reject", "reduce")]
            for side in sides
        }
    return sorted(
        rows.values(), key=lambda r: (-r["head"]["reject"] - r["head"]["reduce"], r["gate"])
    )
