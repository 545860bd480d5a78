"""Lines of the log: one each, whatever clients put into it."""

import json
import logging
import sys

import pytest

from ringfence.service.logs import JsonLines, PlainLines, set_up_logs
from ringfence.service.settings import LogSettings

pytestmark = pytest.mark.unit

FORGED = "x\n2026-01-01T00:00:00.000Z info guard: all is well\x1b[2J\u202e"


def record(message: str, *values: object, trace: bool = False) -> logging.LogRecord:
    about = sys.exc_info() if trace else None
    made = logging.LogRecord(
        "ringfence.service.serve", 30, "f.py", 1, message, values, about  # type: ignore[arg-type]
    )
    made.created = 1_767_225_600.25
    return made


def test_a_line_has_time_level_and_place() -> None:
    assert PlainLines().format(record("stopping")) == (
        "2026-01-01T00:00:00.250Z warning service.serve: stopping"
    )
    assert " worker=3 " in PlainLines(3).format(record("stopping"))


def test_what_clients_name_cannot_forge_a_line() -> None:
    line = PlainLines().format(record("order %s", FORGED))

    assert line.count("\n") == 0
    assert line.isprintable()
    assert r"x\n2026" in line


def test_an_object_has_the_same_and_the_trace() -> None:
    try:
        raise ValueError(FORGED)
    except ValueError:
        text = JsonLines(1).format(record("order %s", FORGED, trace=True))

    told = json.loads(text)
    assert text.isascii()
    assert "\n" not in text
    assert told["message"] == f"order {FORGED}"
    assert told["worker"] == 1
    assert "ValueError" in told["trace"]


def test_lines_of_a_trace_are_indented() -> None:
    try:
        raise ValueError("a\nb")
    except ValueError:
        lines = PlainLines().format(record("failed", trace=True)).splitlines()

    assert len(lines) > 3
    assert all(line.startswith("    ") for line in lines[1:])


def test_settings_choose_the_form_and_what_is_written(capfd: pytest.CaptureFixture[str]) -> None:
    root, kept = logging.getLogger(), (logging.root.handlers[:], logging.root.level)
    try:
        set_up_logs(LogSettings(format="json", level="warning"))
        logging.getLogger("ringfence.test").info("not written")
        logging.getLogger("ringfence.test").warning("written")
        assert not logging.getLogger("uvicorn.access").isEnabledFor(logging.INFO)
        set_up_logs(LogSettings(requests=True))
        assert logging.getLogger("uvicorn.access").isEnabledFor(logging.INFO)
    finally:
        logging.captureWarnings(False)
        root.handlers[:], root.level = kept
    (line,) = capfd.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "written"
