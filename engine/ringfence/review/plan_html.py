"""A plan as one HTML page in the style of the dry run's report, beside which it lies; no network is asked."""

from importlib.resources import files
from typing import Any

from ringfence.replay import wording
from ringfence.replay.report import security_policy
from ringfence.review import plan_words

__all__ = ["render_html"]

_ROWS, _WITNESSES, _USES = 500, 20, 60


def render_html(plan: dict[str, Any]) -> str:
    """Return a plan as one self-contained HTML document.

    Args:
        plan: What `schemas/plan.v1.schema.json` describes.

    Returns:
        HTML in UTF-8, ending with a line break; the same text for the same plan.
    """
    from jinja2 import Environment, StrictUndefined

    shared = (files("ringfence.replay") / "report_assets" / "report.css").read_text("utf-8")
    own = files("ringfence.review") / "plan_assets"
    style = shared + (own / "plan.css").read_text("utf-8")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    for name in ("clip", "count", "money", "percent", "plural", "visible", "moment"):
        environment.globals[name] = getattr(wording, name)
    for name in ("answer_words", "book_words", "check_words", "place_words", "seen_words"):
        environment.globals[name] = getattr(plan_words, name)
    rows, witnesses, uses = (
        each(plan) for each in (plan_words.rows_of, plan_words.witnesses_of, plan_words.uses_of)
    )
    page = environment.from_string((own / "plan.html.j2").read_text("utf-8")).render(
        plan=plan,
        style=style,
        policy=security_policy(style, ""),
        headline=plan_words.headline(plan),
        signs=plan_words.SIGNS,
        directions=plan_words.DIRECTIONS,
        rows=rows[:_ROWS],
        more_rows=len(rows) - _ROWS,
        witnesses=witnesses[:_WITNESSES],
        more_witnesses=len(witnesses) - _WITNESSES,
        uses=uses[:_USES],
        more_uses=len(uses) - _USES,
        needs=plan_words.need_words(plan),
        compared=plan_words.compared(plan),
        summary=plan["dry_run"],
    )
    return page.rstrip() + "\n"
