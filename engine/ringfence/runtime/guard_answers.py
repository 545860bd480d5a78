"""How a guard answers: the decision with its approval, its record, the answer of then, and refusals."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ringfence.language.decision import RiskDecision
from ringfence.language.tickets import Refusal
from ringfence.runtime.asked import Asked, inputs_of, market_inputs
from ringfence.runtime.audit_decision import DECISION
from ringfence.runtime.decision_record import decision_record
from ringfence.runtime.evaluator import Found, Route, decider_of, gates_of
from ringfence.runtime.guard_books import Remembered
from ringfence.runtime.guard_decision import ZERO, GuardDecision
from ringfence.runtime.guard_looks import GuardLooks
from ringfence.runtime.told_books import ShownSince

__all__ = [
    "NO_AUDIT",
    "Answer",
    "GuardAnswers",
    "Market",
    "Question",
    "content_of",
    "named",
]

_DECISIONS = (RiskDecision.APPROVE, RiskDecision.REDUCE_SIZE, RiskDecision.REJECT)
_WORDS = tuple(each.value for each in _DECISIONS)
NO_AUDIT = Refusal("AUDIT_UNAVAILABLE", "the decision could not be recorded")
Market = tuple[int, tuple[float, ...]]
# A decision, its record's number, and the order and client's id of what was kept for it.
Answer = tuple[GuardDecision, int, tuple[str, str] | None]


class Question(NamedTuple):
    """What was passed in, as it came and as it was read; `signs` where an approval is wanted.

    `request_id` names the request that brought it, empty where nobody said.
    """

    given: Any
    market_given: Any
    asked: Asked | Refusal
    market: Market | Refusal | None
    signs: bool = True
    request_id: str = ""


def content_of(asked: Asked, lots: int) -> tuple[Any, ...]:
    """What is remembered of an order, and what the same order has in common with it (`Remembered.content`)."""
    return (
        *asked[:4],
        asked.side_name,
        asked.type,
        lots,
        asked.price if asked.exact_price is not None else None,
        asked.reduce_only,
    )


def named(error: BaseException) -> str:
    """An error in a reason: its kind, for its text may hold anything."""
    return f"error={type(error).__name__}"


class GuardAnswers(GuardLooks):
    """The answers of `CentralRiskGuard`."""

    def _shown(self, route: Route, *, unwritten: bool = False) -> str | ShownSince:
        """What an order was decided on; `unwritten` where records come before its own that the log has yet to take."""
        if self._told_books is None:
            return self.evaluator.evidence(route)
        return self.evaluator.evidence_since(route, self._told_books, unwritten)

    def _take_record(
        self,
        answer: Remembered,
        decision: GuardDecision,
        question: Question,
        found: Found,
        shown: str | ShownSince,
        beside: Mapping[str, Any],
    ) -> int:
        """Have the audit log take the record of a decision that gates were asked for; its number."""
        if isinstance(shown, str):
            body = self._body(answer, decision, question, found, shown, beside)
            return self._audit.append(DECISION, body)
        return shown.told.append(
            shown, lambda text: self._body(answer, decision, question, found, text, beside)
        )

    def _body(
        self,
        answer: Remembered,
        decision: GuardDecision,
        question: Question,
        found: Found,
        shown: str,
        beside: Mapping[str, Any],
    ) -> bytes:
        """The record of a decision that gates were asked for."""
        given = question.market_given
        return decision_record(
            (
                answer.decision_id,
                _WORDS[answer.decision],
                answer.code,
                answer.reason,
                str(decision.size),
                answer.policy_set,
                answer.at_ns,
            ),
            found.asked,
            found.route.texts,
            gates_of(found),
            shown,
            None if given is None else market_inputs(given),
            beside,
            question.request_id,
        )

    def _decision(
        self,
        answer: Remembered,
        asked: Asked,
        found: Found | None,
        *,
        signs: bool,
        repeated: bool = False,
    ) -> GuardDecision:
        size, approval = ZERO, None
        if answer.lots:
            step = (
                self._books.ledger.arrays.lot_step(asked.symbol)
                if found is None
                else found.route.instrument.lot_step
            )
            size = answer.lots * step
            if signs and self.settings.signer is not None:
                approval = self.settings.signer.sign(
                    approval_id=answer.decision_id,
                    account=asked.account,
                    strategy=asked.strategy,
                    venue=asked.venue,
                    symbol=asked.symbol,
                    side=asked.side_name,
                    type=asked.type,
                    size=size,
                    price=asked.exact_price,
                    reduce_only=asked.reduce_only,
                    client_order_id=asked.client_order_id,
                    policy_set=answer.policy_set,
                    issued_ns=answer.at_ns,
                    expires_ns=answer.expires_ns,
                )
        decided_by = ""
        if found is not None and found.decision:
            decided_by = decider_of(found)
        return GuardDecision(
            answer.decision_id,
            _DECISIONS[answer.decision],
            answer.reason,
            size,
            answer.code,
            answer.policy_set,
            approval,
            answer.at_ns,
            None if found is None else self.evaluator,
            found,
            decided_by=decided_by,
            repeated=repeated,
            room=None if answer.lots else (self, asked),
        )

    def _repeat(self, earlier: Remembered, asked: Asked, question: Question) -> Answer | None:
        """The answer of then, once more; nothing is reserved. Its record names the request that repeats."""
        if earlier.lots and not self._keeper.keep_repeat(asked.client_order_id):
            return None
        decision = self._decision(earlier, asked, None, signs=question.signs, repeated=True)
        body = {**_head(decision), "repeated": True, **_of_request(question)}
        try:
            return decision, self._audit.append("decision", body), None
        except Exception:
            return self._plain(decision.id, NO_AUDIT, self._books.now_ns), 0, None

    def _refuse_now(
        self, name: str, now: int, question: Question, refusal: Refusal
    ) -> Answer | None:
        """As `_refuse`, where the books are still those that it was found with."""
        return self._refuse(name, now, question, refusal) if self._keeper.current() else None

    def _refuse(self, name: str, now: int, question: Question, refusal: Refusal) -> Answer:
        """A REJECT that no gate was asked for, recorded where that is possible."""
        decision = self._plain(name, refusal, now)
        inputs = inputs_of(question.given, question.market_given)
        body = {**_head(decision), "inputs": inputs, **_of_request(question)}
        try:
            return decision, self._audit.append("decision", body), None
        except Exception:
            return self._plain(name, NO_AUDIT, now), 0, None

    def _plain(self, name: str, refusal: Refusal, now: int) -> GuardDecision:
        return GuardDecision(
            name,
            RiskDecision.REJECT,
            f"{refusal.code} {refusal.message}",
            ZERO,
            refusal.code,
            self._linked.sha256,
            None,
            now,
        )


def _of_request(question: Question) -> dict[str, str]:
    return {"request_id": question.request_id} if question.request_id else {}


def _head(decision: GuardDecision) -> dict[str, Any]:
    return {
        "id": decision.id,
        "decision": decision.decision.value,
        "code": decision.code,
        "reason": decision.reason,
        "size": str(decision.size),
        "policy_set": decision.policy_set,
        "decided_ns": decision.decided_ns,
    }
