"""Writes `docs/reference/` and the schemas for editors from what the program goes by: `make docs`.

The rule library, the table of input fields, the command line's parsers and the registry of error
codes are the sources, so a page or a schema cannot say anything else than the program does.
`python -m docs.generate --check` writes nothing and ends with 1 where a page is not current.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from ringfence.language.editor_schema import EDITOR_KINDS, editor_schema
from ringfence.language.rule_library import load_rule_library
from ringfence.service.api.published import published_description
from ringfence.service.settings import settings_schema

from .command_line import cli_page
from .http_api import problems_page, routes_page
from .language import errors_page, fields_page
from .metrics import metrics_page
from .rules import rules_page
from .settings import settings_page

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"


def pages() -> dict[Path, str]:
    """Return every generated file by its path."""
    return {
        REFERENCE / "rules.md": rules_page(),
        REFERENCE / "fields.md": fields_page(),
        REFERENCE / "cli.md": cli_page(),
        REFERENCE / "errors.md": errors_page(),
        REFERENCE / "http-api.md": routes_page(),
        REFERENCE / "http-problems.md": problems_page(),
        REFERENCE / "metrics.md": metrics_page(),
        REFERENCE / "settings.md": settings_page(),
        **schemas(),
    }


def schemas() -> dict[Path, str]:
    """Return every schema for editors by its path."""
    library = load_rule_library()
    found = {name: editor_schema(kind, library) for kind, name in EDITOR_KINDS.items()}
    found["service-settings.v1.schema.json"] = settings_schema()
    found["openapi.v1.json"] = published_description()
    return {
        ROOT / "schemas" / name: json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
        for name, schema in found.items()
    }


def main(argv: Sequence[str] | None = None) -> int:
    """Write the pages, or check them; returns the exit code."""
    parser = argparse.ArgumentParser(
        description="Write docs/reference/ and the schemas for editors."
    )
    parser.add_argument("--check", action="store_true", help="write nothing, name what is old")
    check: bool = parser.parse_args(argv).check
    old = []
    for path, text in pages().items():
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        old.append(path.relative_to(ROOT))
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    for each in old:
        print(f"{each}: {'not current, run `make docs`' if check else 'written'}")
    return 1 if check and old else 0


if __name__ == "__main__":
    sys.exit(main())
