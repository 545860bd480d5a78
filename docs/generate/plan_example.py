"""Writes `docs/examples/`: a plan of a small change of the shipped desk, as a comment, a page and a picture.

`python -m docs.generate.plan_example` makes a repository with the desk and who must approve, changes some limits on
a branch, and runs `ringfence plan` there with the orders in `examples/data`. The picture needs Chromium.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from contextlib import chdir
from pathlib import Path

from ringfence.cli.main import main as ringfence

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / "docs" / "examples"
DATA = ROOT / "examples" / "data"
CHROMIUM = "/usr/bin/chromium"
APPROVALS = """\
apiVersion: ringfence/v1
kind: Approvals
metadata: {name: approvals, version: 1.0.0, owner: risk@example.com, description: Who approves a change of limits.}
spec:
  groups:
    risk: [ann, cara, dan]
    desk: [ben, eve]
  rules:
    - {directions: [LOOSER], levels: [firm], needs: {risk: 2}}
    - {directions: [LOOSER], needs: {risk: 1}}
    - {directions: [TIGHTER, EQUAL], needs: {desk: 1}}
"""
EDITS = (
    ("desk.yaml", "{max: 1_500_000 USDT", "{max: 1_800_000 USDT"),
    ("desk.yaml", "{max: 200_000 USDT}", "{max: 20_000 USDT}"),
    ("desk.yaml", "version: 1.0.1", "version: 1.1.0"),
    ("firm.yaml", "{max: 8_000_000 USDT", "{max: 9_000_000 USDT"),
    ("strategy-taker.yaml", "{max: 2_500_000 USDT", "{max: 1_200_000 USDT"),
)


def main() -> int:
    """Write the example; returns the exit code of the plan."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        shutil.copytree(ROOT / "policies", "policies")
        Path(".ringfence").mkdir()
        Path(".ringfence/approvals.yaml").write_text(APPROVALS, encoding="utf-8")
        _git("init", "-q", "-b", "main")
        _commit("The desk")
        _git("checkout", "-q", "-b", "change")
        for name, old, new in EDITS:
            path = Path("policies") / name
            text = path.read_text(encoding="utf-8")
            if old not in text:
                raise SystemExit(f"{path} holds no `{old}` any more: mend the edits here")
            path.write_text(text.replace(old, new, 1), encoding="utf-8")
        _commit("Larger positions in smaller orders")
        # Named as a reader would name them.
        shutil.copytree(DATA, "data", ignore=shutil.ignore_patterns("*.py", "*.md"))
        code = ringfence(
            [
                "plan", "--base", "main", "--orders", "data/orders.parquet", "--marks", "data/marks.parquet",
                "--balances", "data/balances.csv", "--instruments", "data/instruments.yaml",
                "--approved-by", "ann", "--approved-by", "eve", "--out", "out",
            ]
        )  # fmt: skip
        PLACE.mkdir(exist_ok=True)
        shutil.copy("out/plan.md", PLACE / "plan-comment.md")
        shutil.copy("out/plan.html", PLACE / "plan.html")
    _picture(PLACE / "plan.html", PLACE / "plan.png")
    return code


def _git(*words: str) -> None:
    when = "2026-01-05T12:00:00Z"
    person = ["-c", "user.name=Ben", "-c", "user.email=ben@example.com"]
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    subprocess.run(["git", *person, *words], check=True, env={**os.environ, **dates})


def _commit(message: str) -> None:
    _git("add", "-A")
    _git("commit", "-q", "-m", message)


def _picture(page: Path, path: Path) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        shown = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        shown.goto(page.as_uri())
        shown.screenshot(path=str(path), full_page=True)
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
