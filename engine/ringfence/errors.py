"""What can go wrong, as values: a place in a file, a finding, and the exceptions users meet.

`PolicyError` carries every finding of a run, never only the first. `InputError` is bad usage or bad
input outside policy files (a missing orders file, a mapping that does not fit). Both are rendered by
`ringfence.language.render` and by the command line; neither is ever shown as a traceback.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

__all__ = [
    "ApprovalError",
    "AuditError",
    "AuditSinkError",
    "Diagnostic",
    "ExchangeError",
    "InputError",
    "LedgerError",
    "PolicyError",
    "RingfenceError",
    "Span",
    "StateError",
    "reason_of",
]


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """A place in a text file: lines and columns count from 1, the end column is exclusive."""

    path: str
    line: int
    column: int
    end_line: int
    end_column: int

    def __str__(self) -> str:
        return f"{self.path}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: a stable code, what is wrong, why it matters and how to mend it.

    Codes: `E1xx` YAML and schema, `E2xx` names, types and units, `E3xx` the policy set as a whole.
    """

    code: str
    message: str
    span: Span | None = None
    why: str = ""
    fix: str = ""
    severity: str = "error"
    related: tuple[Span, ...] = field(default=())


class RingfenceError(Exception):
    """Base of every error this package raises on purpose."""


class PolicyError(RingfenceError):
    """A policy, rule, instruments or test file that cannot be used; holds all findings, sorted."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics: tuple[Diagnostic, ...] = tuple(
            sorted(diagnostics, key=lambda d: (d.span is None, d.span or _NOWHERE, d.code))
        )
        super().__init__(
            "; ".join(
                f"{d.span}: {d.code}: {d.message}" if d.span else f"{d.code}: {d.message}"
                for d in self.diagnostics
            )
        )


class InputError(RingfenceError):
    """Bad usage or bad input; `fix` says in one line how to mend it."""

    def __init__(self, message: str, fix: str = "") -> None:
        self.message = message
        self.fix = fix
        super().__init__(f"{message}; {fix}" if fix else message)


class LedgerError(InputError):
    """An event that the ledger cannot book; nothing has moved."""


class AuditError(InputError):
    """The audit log cannot be written or read: full, closed, failed, in use, or not as it was written."""


class AuditSinkError(AuditError):
    """A database that did not take records of the audit log; they are still in the log.

    `kind` is stable: `unavailable`, `busy` (somebody else has it), `login`, `rights`, `full`, `slow`, `schema`,
    `conflict` (what it holds is not this log) or `failed`.
    """

    def __init__(self, kind: str, message: str, fix: str = "") -> None:
        self.kind = kind
        super().__init__(message, fix)


class ApprovalError(RingfenceError):
    """An approval that is not honoured; nothing was sent. `code` is stable: `FORGED`, `EXPIRED` and so on."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class ExchangeError(RingfenceError):
    """An exchange that could not be asked, or gave an answer that cannot be used.

    Never raised for an order that may have been sent: its acknowledgement says `unknown` instead.
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class StateError(InputError):
    """A guard's state on disk that cannot be read, or belongs to another."""


def reason_of(error: OSError) -> str:
    """Why the system refused, in its own words: `no space left on device`, without number and path."""
    return (error.strerror or str(error) or "unknown reason").lower()


_NOWHERE = Span("", 0, 0, 0, 0)
