"""A candidate: linked, and then tested as it will decide; nothing of it is in force before that."""

import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ringfence.backends.numba_kernel import decide as decide_compiled
from ringfence.backends.numba_kernel.module_text import module_text
from ringfence.backends.numba_kernel.slots import slots_of
from ringfence.backends.reference import decide as decide_plain
from ringfence.errors import Diagnostic, InputError, PolicyError
from ringfence.language import schema
from ringfence.language.linking import LinkedSet, link
from ringfence.language.orders import Case
from ringfence.language.policy_tests import read_case
from ringfence.language.render import render_json
from ringfence.language.rules import read_rule
from ringfence.language.source import Document, load
from ringfence.review.test_runner import CaseResult, run_file, run_rule_cases

__all__ = [
    "CandidateError",
    "documents_of",
    "link_candidate",
    "linked_of",
    "prove",
    "structure_of",
]

_PLAIN = ("reference",)
_BOTH = ("reference", "numba")


class CandidateError(InputError):
    """A set that is not taken over.

    Attributes:
        findings: Every finding, and every test that failed, as plain data.
        lasting: Whether the same files would fail again: not so where the reason lies outside them.
    """

    def __init__(
        self,
        message: str,
        fix: str = "",
        *,
        findings: Sequence[Mapping[str, Any]] = (),
        lasting: bool = True,
    ) -> None:
        super().__init__(message, fix)
        self.findings = tuple(findings)
        self.lasting = lasting


@dataclass(slots=True)
class _Kept:
    """Documents by what they hold: a limit changes one file of many."""

    documents: dict[tuple[str, bytes], Document]
    lock: threading.Lock


_kept = _Kept({}, threading.Lock())


def documents_of(files: Mapping[str, bytes]) -> tuple[list[Document], list[Diagnostic]]:
    """The files as documents, and the findings met while loading them; files known from before are not read anew."""
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    with _kept.lock:
        before, now = _kept.documents, {}
        for name, content in files.items():
            try:
                document = before.get((name, content)) or load(content, name)
            except PolicyError as error:
                findings.extend(error.diagnostics)
                continue
            now[name, content] = document
            documents.append(document)
        _kept.documents = now
    return documents, findings


def linked_of(files: Mapping[str, bytes], *, bundled: bool = True) -> LinkedSet:
    """As `link_candidate`, with findings as the reason why the set is not taken over.

    Raises:
        CandidateError: with every finding of every file.
    """
    try:
        return link_candidate(files, bundled=bundled)
    except PolicyError as error:
        raise refused(error) from None


def link_candidate(files: Mapping[str, bytes], *, bundled: bool = True) -> LinkedSet:
    """The policy set of the files.

    Args:
        files: As a snapshot has them.
        bundled: Whether rules that are not among them come from the library.

    Raises:
        PolicyError: with every finding of every file.
        CandidateError: there is no policy.
    """
    linked = link(*documents_of(files), bundled=bundled, declared_once=bundled)
    if not linked.policies:
        raise CandidateError(
            "there is no policy among the files",
            fix="put the policies back: nothing would be allowed",
        )
    return linked


def refused(error: PolicyError) -> CandidateError:
    """The findings of the language, as the reason why a set is not taken over."""
    count = len(error.diagnostics)
    first = error.diagnostics[0]
    place = f"{first.span}: " if first.span else ""
    more = f", and {count - 1} more" if count > 1 else ""
    return CandidateError(
        f"{place}{first.code}: {first.message}{more}",
        first.fix,
        findings=render_json(error.diagnostics),
    )


def structure_of(linked: LinkedSet) -> str:
    """What is compiled for the set; equal for sets that differ in limits alone."""
    return module_text(slots_of(linked))


def prove(linked: LinkedSet, golden: Mapping[str, bytes], *, tests: bool = True) -> int:
    """Ask the compiled set, and run its own tests and the golden ones; compiles where that is still to do.

    Args:
        linked: The set.
        golden: Policy tests kept apart from it.
        tests: False for a set that was tested before, or is to decide nothing.

    Returns:
        How many cases passed.

    Raises:
        CandidateError: with every case that failed.
    """
    _try(linked)
    if not tests:
        return 0
    results: list[CaseResult] = []
    try:
        for document in (*linked.documents.values(), *_golden(golden)):
            results += _results(document, linked)
    except PolicyError as error:
        raise refused(error) from None
    failed = [each for each in results if not each.passed]
    if failed:
        first = failed[0]
        more = f", and {len(failed) - 1} more" if len(failed) > 1 else ""
        raise CandidateError(
            f"{first.span}: the test `{first.name}` failed: {'; '.join(first.problems)}{more}",
            fix="mend the policies, or the test where it is what is wrong",
            findings=[
                {
                    "code": "TEST_FAILED",
                    "test": each.name,
                    "place": str(each.span),
                    "problems": each.problems,
                    "findings": render_json(each.diagnostics),
                }
                for each in failed
            ],
        )
    return len(results)


def _results(document: Document, linked: LinkedSet) -> Iterable[CaseResult]:
    kind = document.data["kind"]
    if kind == "PolicyTest":
        # A test with a policy of its own does not ask this set, and would need another kernel.
        return run_file(document, linked, _PLAIN if document.data.get("policy") else _BOTH)
    if kind == "Rule":
        rule, findings = read_rule(document)
        if rule is None:
            raise PolicyError(findings)
        return run_rule_cases(rule, _PLAIN)
    return ()


def _golden(files: Mapping[str, bytes]) -> list[Document]:
    documents: list[Document] = []
    findings: list[Diagnostic] = []
    for name, content in files.items():
        try:
            document = load(content, name)
        except PolicyError as error:
            findings.extend(error.diagnostics)
            continue
        faults = schema.check(document, "PolicyTest")
        findings.extend(faults)
        documents.append(document)
    if findings:
        raise PolicyError(findings)
    return documents


def _try(linked: LinkedSet) -> None:
    """Ask the compiled set about one order: it answers, and as the interpreter does."""
    case = _order(linked)
    # As text, in which an unknown number is equal to itself.
    if repr(decide_compiled(linked, case)) != repr(decide_plain(linked, case)):
        raise CandidateError(
            "the compiled set and the interpreter answer differently: report this as a fault",
            fix="go on with the set in force",
        )


def _order(linked: LinkedSet) -> Case:
    desk = linked.desk
    symbol = next(iter(desk.instruments), "ANY/USD")
    book = {"equity": 1e6, "day_start_equity": 1e6, "day_start_balance": 1e6, "peak_equity": 1e6}
    account = next(iter(desk.accounts), "any")
    return read_case(
        {
            "instruments": {} if symbol in desk.instruments else {symbol: {}},
            "market": {symbol: {"bid": 100, "ask": 100, "last": 100, "mark": 100, "age": 0}},
            "books": {"firm": book, f"account/{account}": book},
        },
        {
            "account": account,
            "strategy": next(iter(desk.strategies), ""),
            "venue": next(iter(desk.venues), ""),
            "symbol": symbol,
            "side": "buy",
            "size": 1,
            "price": 100,
        },
        linked,
    )
