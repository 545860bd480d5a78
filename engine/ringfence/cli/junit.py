"""Findings and results of cases as JUnit XML, which CI services show as a list of tests."""

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from ringfence.errors import Diagnostic
from ringfence.language.scalars import NOT_PRINTABLE

__all__ = ["JunitCase", "finding_cases", "junit_xml"]


@dataclass(frozen=True, slots=True)
class JunitCase:
    """One line of the list."""

    name: str
    group: str
    failed: bool = False
    problem: str = ""
    """What is wrong, in one line, where it failed."""
    kind: str = ""
    """What sort of problem it is, an error code for example."""
    details: str = ""
    """The whole text of the problem, or what there is to say of a case that passed."""
    path: str = ""
    line: int | None = None


def junit_xml(suite: str, cases: Iterable[JunitCase]) -> str:
    """Return one suite of cases as JUnit XML.

    Args:
        suite: The suite's name, such as `ringfence validate`.
        cases: In the order to be listed.
    """
    # Imported here: only this form needs it.
    from junitparser import Attr, Failure, JUnitXml, TestCase, TestSuite

    class Case(TestCase):
        # Not in the first descriptions of the format; CI services link to the place with them.
        file = Attr()
        line = Attr()

    whole = TestSuite(suite)
    for each in cases:
        case = Case(_clean(each.name), classname=_clean(each.group))
        if each.path:
            case.file = _clean(each.path)
            if each.line is not None:
                case.line = str(each.line)
        if each.failed:
            failure = Failure(_clean(each.problem), each.kind)
            failure.text = _clean(each.details or each.problem)
            case.result = [failure]
        elif each.details:
            case.system_out = _clean(each.details)
        whole.add_testcase(case)
    report = JUnitXml()
    report.add_testsuite(whole)
    written = io.BytesIO()
    report.write(written)
    return written.getvalue().decode("utf-8") + "\n"


def finding_cases(findings: Sequence[Diagnostic], checked: Sequence[str] = ()) -> list[JunitCase]:
    """Return a case for each finding, and one that passed for each thing without any.

    An error is a case that failed. A warning is one that passed, with its text as output.

    Args:
        findings: In the order to be listed.
        checked: What was looked at and found sound, such as paths.
    """
    cases = [JunitCase(name="valid", group=each, path=each) for each in checked]
    for each in findings:
        span = each.span
        parts = [f"{span}: {each.message}" if span is not None else each.message]
        parts += [f"why: {each.why}"] if each.why else []
        parts += [f"fix: {each.fix}"] if each.fix else []
        cases.append(
            JunitCase(
                name=f"{each.code}: {each.message}",
                group=span.path if span is not None else "policy set",
                failed=each.severity == "error",
                problem=each.message,
                kind=each.code,
                details="\n".join(parts),
                path=span.path if span is not None else "",
                line=span.line if span is not None else None,
            )
        )
    return cases


def _clean(text: str) -> str:
    return NOT_PRINTABLE.sub("\ufffd", text)
