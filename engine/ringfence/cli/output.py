"""What commands share: findings in three forms, JSON, and numbers that JSON can hold."""

import json
import math
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ringfence.errors import Diagnostic
from ringfence.language.render import render_github, render_json, render_text

__all__ = ["compiling_is_said", "finite", "print_json", "show_findings"]


@contextmanager
def compiling_is_said(*, json: bool) -> Iterator[None]:
    """Say on standard error why nothing happens for a minute, where code has to be compiled.

    With `json`, whose readers may take any word there for a fault, only to a terminal.
    """
    from ringfence.backends.numba_kernel.disk_cache import told_of_compiling

    def tell(kept_in: Path | None) -> None:
        if json and not sys.stderr.isatty():
            return
        kept = (
            f"once: it is kept in {kept_in}"
            if kept_in is not None
            else "each time, for it cannot be kept (RINGFENCE_CACHE_PATH names another place)"
        )
        print(
            f"ringfence: compiling the gates to machine code; this takes about a minute, {kept}",
            file=sys.stderr,
            flush=True,
        )

    with told_of_compiling(tell):
        yield


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
