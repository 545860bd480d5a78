"""Secrets: read from the environment or from files, checked, and never shown.

`NAME` holds the secret itself, `NAME_FILE` the path of a file that does (as container platforms mount
them). What is wrong with a secret is a warning in `development` and refused in `production`; `testing`
makes its own and reads none, so that no test ever holds a real one.

A key that signs is followed by another one without a pause: for a while both are known. `NAME` then holds several
lines, the key that signs first, or `NAME_PREVIOUS` holds those that are still believed.
"""

import base64
import binascii
import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from ringfence.errors import InputError
from ringfence.runtime.ports import SYSTEM_FILES, SYSTEM_RANDOM, Files, Random

__all__ = [
    "ALL_SECRETS",
    "API_SECRET_KEY",
    "DASHBOARD_ADMIN_PASSWORD",
    "DATABASE_OWNER_PASSWORD",
    "DATABASE_PASSWORD",
    "DATABASE_READER_PASSWORD",
    "ENVIRONMENT_VARIABLE",
    "GRAFANA_ADMIN_PASSWORD",
    "JWT_SECRET_KEY",
    "KRAKEN_API_KEY",
    "KRAKEN_SECRET",
    "OPENAI_API_KEY",
    "PRODUCTION_SECRETS",
    "REDIS_PASSWORD",
    "Credentials",
    "Environment",
    "Secret",
    "SecretKind",
    "load_credentials",
    "read_secret",
]

Environment = Literal["development", "production", "testing"]
ENVIRONMENT_VARIABLE = "RINGFENCE_ENVIRONMENT"

_NOT_SET = "is not set"
# The same few letters over and over are no key, however long.
_FEWEST_LETTERS = 8


class Secret:
    """A text that is given out by `reveal` alone: not by printing, formatting, comparing or pickling."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself."""
        return self._text

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_encode(self._text), _encode(other._text))

    __hash__ = None  # type: ignore[assignment]  # a hash would tell equal secrets

    def __reduce__(self) -> Any:
        raise TypeError("a secret is never written anywhere")


@dataclass(frozen=True, slots=True)
class SecretKind:
    """One secret: its variable, what is wrong with a text for it (empty: nothing), and how to make one.

    Attributes:
        issued_elsewhere: Another party gives it out (an exchange does); one that we make opens nothing there.
        optional: May be left out, in production too; it is checked where it is given.
        purpose: What it is for, in a few words.
        rotates: Whether keys that came before the present one may be given, too.
    """

    name: str
    fault: Callable[[str], str]
    make: Callable[[Random], str]
    fix: str
    issued_elsewhere: bool = False
    optional: bool = False
    purpose: str = ""
    rotates: bool = False


@dataclass(frozen=True, slots=True)
class Credentials:
    """The secrets of one process; `warnings` says what production would refuse."""

    environment: Environment
    warnings: tuple[str, ...]
    _secrets: Mapping[str, tuple[Secret, ...]] = field(repr=False)

    def get(self, kind: SecretKind) -> Secret:
        """The secret of a kind; of a key that rotates, the one that signs.

        Raises:
            InputError: it was not given, which only `development` lets pass until now.
        """
        return self.all_of(kind)[0]

    def all_of(self, kind: SecretKind) -> tuple[Secret, ...]:
        """The secret of a kind, and behind it those that came before and are still believed.

        Raises:
            InputError: as `get`.
        """
        secrets = self._secrets.get(kind.name)
        if not secrets:
            raise InputError(f"`{kind.name}` is needed here and was not given", kind.fix)
        return secrets

    def find(self, kind: SecretKind) -> Secret | None:
        """The secret of a kind, None where it was not given."""
        secrets = self._secrets.get(kind.name)
        return secrets[0] if secrets else None


def load_credentials(
    kinds: tuple[SecretKind, ...],
    environ: Mapping[str, str],
    *,
    files: Files = SYSTEM_FILES,
    random: Random = SYSTEM_RANDOM,
) -> Credentials:
    """Read and check secrets; `RINGFENCE_ENVIRONMENT` says how strictly, and is `production` if not given.

    Args:
        kinds: The secrets that this process needs, or may have where they are optional; no others are read.
        environ: The environment's variables.

    Raises:
        InputError: the environment is unknown; in production, all that is wrong, without any secret's text.
    """
    environment = environ.get(ENVIRONMENT_VARIABLE, "production")
    if environment not in get_args(Environment):
        known = ", ".join(get_args(Environment))
        raise InputError(
            f"`{ENVIRONMENT_VARIABLE}` is no environment that is known", f"set one of {known}"
        )
    if environment == "testing":
        made = {kind.name: (Secret(kind.make(random)),) for kind in kinds if not kind.optional}
        return Credentials("testing", (), made)
    secrets: dict[str, tuple[Secret, ...]] = {}
    faults: list[str] = []
    for kind in kinds:
        if kind.optional and not _is_given(kind.name, environ):
            continue
        texts, wrong = _read_all(kind, environ, files)
        faults.extend(f"{each}; {kind.fix}" for each in wrong)
        if texts:
            secrets[kind.name] = tuple(map(Secret, texts))
    if environment == "development":
        return Credentials("development", tuple(faults), secrets)
    if faults:
        raise InputError("; ".join(faults), "production starts with sound secrets only")
    return Credentials("production", (), secrets)


def read_secret(name: str, environ: Mapping[str, str], *, files: Files = SYSTEM_FILES) -> Secret:
    """The text of the variable `name`, or of the file that `name_FILE` names, unchecked.

    Raises:
        InputError: neither is set, both are, or the file cannot be read.
    """
    text, fault = _read(name, environ, files)
    if fault:
        raise InputError(
            f"`{name}` {fault}", f"set `{name}`, or `{name}_FILE` to a file that holds it"
        )
    return Secret(text)


def _is_given(name: str, environ: Mapping[str, str]) -> bool:
    return bool(environ.get(name) or environ.get(f"{name}_FILE"))


def _read_all(
    kind: SecretKind, environ: Mapping[str, str], files: Files
) -> tuple[list[str], list[str]]:
    # The texts of a kind, the present one first, and what is wrong with any of them.
    text, fault = _read(kind.name, environ, files)
    fault = fault or kind.fault(text if not kind.rotates else text.splitlines()[0])
    wrong = [f"`{kind.name}` {fault}"] if fault else []
    if not kind.rotates or not text:
        return [text] if text else [], wrong
    first, *before = text.splitlines()
    name = f"{kind.name}_PREVIOUS"
    if environ.get(name) or environ.get(f"{name}_FILE"):
        text, fault = _read(name, environ, files)
        # An empty file says that there is none: what mounts it need not change when a rotation ends.
        if fault and fault != _NOT_SET:
            wrong.append(f"`{name}` {fault}")
        before += text.splitlines()
    before = [each.strip() for each in before if each.strip()]
    for number, each in enumerate(before, 1):
        if fault := kind.fault(each):
            wrong.append(f"previous key {number} of `{kind.name}` {fault}")
    return [first.strip(), *before], wrong


def _read(name: str, environ: Mapping[str, str], files: Files) -> tuple[str, str]:
    # The secret's text, or what is wrong.
    text = environ.get(name, "")
    path = environ.get(f"{name}_FILE", "")
    if text and path:
        return "", f"is given twice, also as `{name}_FILE`"
    if path:
        try:
            # Editors and `echo` end a file with a line break that is no part of the secret.
            text = files.read_bytes(Path(path)).decode("utf-8").strip()
        except (OSError, UnicodeDecodeError, ValueError) as error:
            return "", f"cannot be read from its file ({type(error).__name__})"
    return (text, "") if text else ("", _NOT_SET)


def _signing_key_fault(text: str) -> str:
    if len(_encode(text)) < 32:
        return "has fewer than 32 bytes"
    return _guessable(text)


def _kraken_secret_fault(text: str) -> str:
    try:
        held = base64.b64decode(_encode(text), validate=True)
    except (binascii.Error, ValueError):
        return "is not base64"
    return "" if len(held) == 64 else f"holds {len(held)} bytes, not 64"


def _kraken_key_fault(text: str) -> str:
    if not (text.isascii() and len(text) == 56 and all(c.isalnum() or c in "+/=" for c in text)):
        return "is no API key: those have 56 letters, digits, `+` and `/`"
    return ""


def _password_fault(text: str) -> str:
    if len(text) < 16:
        return "has fewer than 16 characters"
    # It stands in configuration files and addresses, where these would end it.
    if not text.isascii() or not text.isprintable() or " " in text:
        return "holds blanks, line breaks or letters beyond ASCII"
    return _guessable(text)


def _openai_fault(text: str) -> str:
    known = text.isascii() and len(text) >= 40 and all(c.isalnum() or c in "-_" for c in text)
    return "" if known and text.startswith("sk-") else "is no API key: those begin with `sk-`"


def _guessable(text: str) -> str:
    return "" if len(set(text)) >= _FEWEST_LETTERS else "repeats the same few letters"


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _base64(random: Random, count: int) -> str:
    return base64.b64encode(random.bytes(count)).decode()


def _password(name: str, purpose: str, fix: str = "") -> SecretKind:
    return SecretKind(
        name,
        _password_fault,
        lambda random: random.token(32),
        fix or "set 16 random characters or more, as `openssl rand -hex 32` makes them",
        purpose=purpose,
    )


API_SECRET_KEY = SecretKind(
    "API_SECRET_KEY",
    _signing_key_fault,
    lambda random: random.token(32),
    "set 32 random bytes or more, as `openssl rand -hex 32` makes them",
    purpose="signs the guard's approvals",
    rotates=True,
)
JWT_SECRET_KEY = SecretKind(
    "JWT_SECRET_KEY",
    _signing_key_fault,
    lambda random: random.token(32),
    "set 32 random bytes or more, as `openssl rand -hex 32` makes them",
    purpose="signs the tokens of the HTTP API",
    rotates=True,
)
KRAKEN_API_KEY = SecretKind(
    "KRAKEN_API_KEY",
    _kraken_key_fault,
    lambda random: _base64(random, 42),
    "copy the API key from the exchange's settings page",
    issued_elsewhere=True,
    purpose="names this desk to the exchange",
)
KRAKEN_SECRET = SecretKind(
    "KRAKEN_SECRET",
    _kraken_secret_fault,
    lambda random: _base64(random, 64),
    "copy the private key from the exchange's settings page: base64 of 64 bytes",
    issued_elsewhere=True,
    purpose="signs what is sent to the exchange",
)
DATABASE_PASSWORD = _password(
    "DATABASE_PASSWORD", "the audit writer's role in PostgreSQL, which may only add rows"
)
DATABASE_OWNER_PASSWORD = _password(
    "DATABASE_OWNER_PASSWORD", "the role that owns the audit tables in PostgreSQL"
)
DATABASE_READER_PASSWORD = _password(
    "DATABASE_READER_PASSWORD", "the role that reads the audit tables in PostgreSQL"
)
REDIS_PASSWORD = _password(
    "REDIS_PASSWORD",
    "the guards' shared state in Redis",
    "set the password that the server's `requirepass`, or its user's ACL, holds",
)
GRAFANA_ADMIN_PASSWORD = _password("GRAFANA_ADMIN_PASSWORD", "Grafana's user `admin`")
DASHBOARD_ADMIN_PASSWORD = _password(
    "DASHBOARD_ADMIN_PASSWORD", "the dashboard's first user, `admin`"
)
OPENAI_API_KEY = SecretKind(
    "OPENAI_API_KEY",
    _openai_fault,
    lambda random: f"sk-{random.token(32)}",
    "copy the API key from the provider's settings page, or leave it out",
    issued_elsewhere=True,
    optional=True,
    purpose="a language model's API; nothing here needs it",
)

PRODUCTION_SECRETS = (
    KRAKEN_API_KEY,
    KRAKEN_SECRET,
    JWT_SECRET_KEY,
    API_SECRET_KEY,
    DATABASE_PASSWORD,
    REDIS_PASSWORD,
)
"""What a deployment for production cannot do without."""

ALL_SECRETS = (
    *PRODUCTION_SECRETS,
    DATABASE_OWNER_PASSWORD,
    DATABASE_READER_PASSWORD,
    GRAFANA_ADMIN_PASSWORD,
    DASHBOARD_ADMIN_PASSWORD,
    OPENAI_API_KEY,
)
"""Every secret that some part of a deployment reads."""
