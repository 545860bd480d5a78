"""What commands share: findings in three forms, JSON, and numbers that JSON can hold."""

import json
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language.render import render_github, render_json, render_text

__all__ = ["finite", "print_json", "show_findings"]


def show_findings(findings: Sequence[Diagnostic], form: str) -> None:
    """Print findings as text (standard error), JSON or GitHub annotations (standard output)."""
    if form == "json":
        print_json({"valid": False, "findings": render_json(findings)})
    elif form == "github":
        print(render_github(findings))
    else:
        print(render_text(findings, _read_line), file=sys.stderr)
        count = len(findings)
        print(f"{count} finding{'s' if count != 1 else ''}", file=sys.stderr)


def print_json(value: Any) -> None:
    """Print JSON that any reader takes: no NaN."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False, default=str))


def finite(value: float) -> float | None:
    """The number, or None where JSON has no word for it."""
    return value if math.isfinite(value) else None


def _read_line(path: str, number: int) -> str:
    try:
        lines = Path(path).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return lines[number - 1] if 0 < number <= len(lines) else ""
