"""Orders of a batch decided together: the books take each before the next is asked about, their state is written once.

What is no usual order, or has something besides to tell, is decided as it is alone, after the state of those before it
was written. So journal and audit log hold the same as they would for the same orders one by one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from ringfence.errors import AuditError, StateError
from ringfence.language.tickets import Refusal
from ringfence.runtime.books_keeper import OwnBooks, order_event
from ringfence.runtime.evaluator import Found
from ringfence.runtime.guard_answers import (
    NO_AUDIT,
    Answer,
    Question,
    content_of,
    named,
)
from ringfence.runtime.guard_books import Remembered
from ringfence.runtime.guard_decision import GuardDecision
from ringfence.runtime.guard_looks import NO_STATE
from ringfence.runtime.told_books import ShownSince

if TYPE_CHECKING:
    from ringfence.runtime.guard import CentralRiskGuard

__all__ = ["decide_some"]

_REJECT = 2


class _Judged(NamedTuple):
    """An order that the books have taken over, and that is neither kept nor recorded yet."""

    question: Question
    client: str
    answer: Remembered
    found: Found
    beside: Any
    decision: GuardDecision
    shown: str | ShownSince
    is_kept: bool


def decide_some(guard: "CentralRiskGuard", questions: Sequence[Question]) -> list[Answer]:
    """Decide orders one after the other; the caller holds the guard's lock. Never raises an `Exception`."""
    keeper = guard._keeper
    if not isinstance(keeper, OwnBooks) or guard.settings.market_cache is not None:
        return [_alone(guard, each) for each in questions]
    answers: list[Answer] = []
    judged: list[_Judged] = []
    try:
        for question in questions:
            count = len(judged)
            try:
                if _judge(guard, keeper, question, judged):
                    continue
            except Exception:
                # It is taken back, fails again, and says why.
                _undo(keeper, judged[count:])
                del judged[count:]
            answers += _settle(guard, keeper, judged)
            judged = []
            answers.append(_alone(guard, question))
        return answers + _settle(guard, keeper, judged)
    except BaseException:
        # Interrupted: nobody is given these answers, and not all of them are kept or recorded. Taken back twice
        # is taken back.
        _undo(keeper, judged)
        raise


def _undo(keeper: OwnBooks, judged: Sequence[_Judged]) -> None:
    """Take back what the books have taken over; the later ones were decided on the earlier ones."""
    for each in reversed(judged):
        if each.is_kept:
            keeper.undo(each.answer.decision_id, each.client)


def _alone(guard: "CentralRiskGuard", question: Question) -> Answer:
    try:
        return guard._decide(question)
    except Exception as error:
        return guard._failed(error, question), 0, None


def _judge(
    guard: "CentralRiskGuard", keeper: OwnBooks, question: Question, judged: list[_Judged]
) -> bool:
    """Ask about an order, and let the books take it over; False, and nothing has moved, for one to be decided alone.

    It is among `judged` before the books move, so that whatever interrupts this finds it there.
    """
    is_first = not judged
    asked = question.asked
    if isinstance(asked, Refusal) or question.market is not None or guard._closed:
        return False
    if is_first:
        try:
            now = keeper.ready(guard._clock.now_ns())
        except (OSError, StateError):
            return False
    else:
        # What was not kept yet must not get into a new snapshot, as `ready` may make one.
        now = keeper.advance(guard._clock.now_ns())
    guard._bind_anew()
    evaluator, books, client = guard.evaluator, keeper.books, asked.client_order_id
    route = evaluator.route(asked)
    if isinstance(route, Refusal):
        return False
    lots = evaluator.lots(route, asked)
    if isinstance(lots, Refusal):
        return False
    if client and (
        books.answer_for(client) is not None
        or len(books.answers) >= guard.settings.most_client_orders
    ):
        return False
    found = guard._ask(route, asked, lots, now)
    if isinstance(found, Refusal):
        return False
    if route.halting and (found.decision == _REJECT or guard._breaches):
        return False
    name = f"{guard._run}-{guard._count + 1}"
    shown = guard._shown(route, unwritten=not is_first) if guard._records else ""
    reason, code = guard._words(found) if found.decision else ("", "")
    answer = Remembered(
        content_of(asked, lots),
        name,
        found.decision,
        found.lots,
        reason,
        code,
        now,
        now + guard.settings.approval_ns,
        guard._linked.sha256,
    )
    beside = guard._beside(found) if guard._has_more else {}
    decision = guard._decision(answer, asked, found, signs=question.signs)
    guard._count += 1
    is_kept = bool(found.lots or client)
    judged.append(_Judged(question, client, answer, found, beside, decision, shown, is_kept))
    if is_kept:
        keeper.book(client, answer)
    return True


def _settle(guard: "CentralRiskGuard", keeper: OwnBooks, judged: Sequence[_Judged]) -> list[Answer]:
    """Keep what the books have taken over, and record it; all or nothing is kept."""
    kept = [each for each in judged if each.is_kept]
    try:
        if kept:
            keeper.keep_booked([order_event(each.client, None, each.answer) for each in kept])
    except BaseException as error:
        _undo(keeper, kept)
        if isinstance(error, OSError):
            return [
                guard._refuse(each.answer.decision_id, each.answer.at_ns, each.question, NO_STATE)
                for each in judged
            ]
        if isinstance(error, Exception):
            return [(guard._failed(error, each.question), 0, None) for each in judged]
        raise
    return [_recorded(guard, keeper, each) for each in judged]


def _recorded(guard: "CentralRiskGuard", keeper: OwnBooks, judged: _Judged) -> Answer:
    found, name = judged.found, judged.answer.decision_id
    undo = (name, judged.client)
    try:
        if guard._noted is not None and found.lots:
            guard._noted.append(found)
        if judged.beside:
            guard._count_shadow(found, judged.beside)
        if not guard._records:
            return judged.decision, 0, undo
        sequence = guard._take_record(
            judged.answer, judged.decision, judged.question, found, judged.shown, judged.beside
        )
        return judged.decision, sequence, undo
    except BaseException as error:
        keeper.undo(*undo)
        now = judged.answer.at_ns
        if isinstance(error, AuditError):
            return guard._plain(name, NO_AUDIT, now), 0, None
        if not isinstance(error, Exception):
            raise
        told = Refusal("INTERNAL_ERROR", named(error))
        return guard._refuse(name, now, judged.question, told)
