"""Does the new one work: asked over its own ports, as people and machines ask it."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ringfence.cli.deploying.deployment import Deployment
from ringfence.cli.deploying.security_checks import secrets_environment
from ringfence.cli.deploying.step import Finding, Outcome, Severity, judged
from ringfence.errors import InputError
from ringfence.runtime.credentials import JWT_SECRET_KEY, load_credentials
from ringfence.runtime.ports import SYSTEM_CLOCK

__all__ = ["smoke", "wait_for_start"]

_PATIENCE_S = 10.0
_TOKEN_S = 60
# An account that no policy knows: the guard decides, records, and reserves nothing.
_ACCOUNT = "deployment-check"


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    kind: str
    body: bytes
    seconds: float


def smoke(deployment: Deployment) -> Outcome:
    """API, database, cache, a decision, metrics, dashboard."""
    checks: list[tuple[str, Callable[[Deployment], str]]] = [
        ("API", _api),
        ("database", _database),
        ("cache", _cache),
        ("guard", _guard),
        ("metrics", _metrics),
        ("dashboard", _dashboard),
    ]
    wait_for_start(deployment)
    findings = []
    for name, check in checks:
        if told := check(deployment):
            fix = "see `docker compose logs ringfence`"
            findings.append(Finding(Severity.ERROR, f"{name}: {told}", fix))
    said = f"{', '.join(name for name, _ in checks)} answer"
    return judged(findings, said, strict=deployment.strict)


def wait_for_start(deployment: Deployment) -> None:
    """Return once the service has opened its books: its container is healthy as soon as its process lives."""
    begun = deployment.elapsed()
    while deployment.elapsed() - begun < deployment.machine.patience_s:
        answer = _ask(deployment, 8001, "/health/ready")
        if isinstance(answer, str) or answer.status != 503 or b'"starting"' not in answer.body:
            return
        deployment.wait(deployment.machine.look_s)


def _api(deployment: Deployment) -> str:
    answer = _ask(deployment, 8001, "/health/ready")
    if isinstance(answer, str):
        return answer
    if answer.status != 200:
        return f"it is not ready: {_shown(answer)}"
    answer = _ask(deployment, 5000, "/schema/openapi.json")
    if isinstance(answer, str):
        return answer
    if answer.status != 200 or '"openapi"' not in answer.body.decode("utf-8", "replace"):
        return f"no description of the API: {_shown(answer)}"
    quick = deployment.machine.quick_s
    return (
        "" if answer.seconds < quick else f"it took {answer.seconds:.2f} s, not under {quick:g} s"
    )


def _database(deployment: Deployment) -> str:
    return _healthy(deployment, "/health/db")


def _cache(deployment: Deployment) -> str:
    return _healthy(deployment, "/health/cache")


def _healthy(deployment: Deployment, path: str) -> str:
    answer = _ask(deployment, 8001, path)
    if isinstance(answer, str):
        return answer
    return "" if answer.status == 200 else f"it is not well: {_shown(answer)}"


def _guard(deployment: Deployment) -> str:
    order = {"account": _ACCOUNT, "symbol": "BTC/USDT", "side": "buy", "size": "1", "price": "1"}
    answer = _ask_as_somebody(deployment, "/v1/evaluate", order)
    if isinstance(answer, str):
        return answer
    try:
        told = json.loads(answer.body)
        decision = told["decision"]
    except (ValueError, KeyError, TypeError):
        return f"no decision: {_shown(answer)}"
    if decision == "REJECT" and told.get("code"):
        return ""
    return f"an order of an account that nobody knows was decided {decision}"


def _token(deployment: Deployment) -> str:
    """Who may have orders decided, for a minute."""
    from ringfence.service.access.rights import Principal, Role
    from ringfence.service.access.tokens import Tokens

    environ = secrets_environment(deployment)
    credentials = load_credentials(
        (JWT_SECRET_KEY,), {**environ, "RINGFENCE_ENVIRONMENT": "production"}
    )
    principal = Principal(_ACCOUNT, Role.TRADER, frozenset({_ACCOUNT}))
    return Tokens(credentials.all_of(JWT_SECRET_KEY), SYSTEM_CLOCK).make(principal, _TOKEN_S)


def _metrics(deployment: Deployment) -> str:
    answer = _ask(deployment, 8000, "/metrics")
    if isinstance(answer, str):
        return answer
    if answer.status != 200 or b"\nringfence_" not in answer.body:
        return f"none of the guard's: {_shown(answer)}"
    return ""


def _dashboard(deployment: Deployment) -> str:
    answer = _ask_as_somebody(deployment, "/")
    if isinstance(answer, str):
        return answer
    if answer.status != 200 or "text/html" not in answer.kind:
        return f"no page: {_shown(answer)}"
    return ""


def _ask_as_somebody(deployment: Deployment, path: str, body: Any = None) -> _Answer | str:
    try:
        token = _token(deployment)
    except InputError as error:
        return error.message
    return _ask(deployment, 5000, path, body, {"authorization": f"Bearer {token}"})


def _ask(
    deployment: Deployment,
    port: int,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> _Answer | str:
    """An answer, whatever its status; or what went wrong."""
    url = f"http://{deployment.machine.host}:{deployment.machine.at(port)}{path}"
    content = None if body is None else json.dumps(body).encode()
    given = {"accept": "*/*", **({"content-type": "application/json"} if content else {})}
    request = urllib.request.Request(url, content, {**given, **(headers or {})})
    begun = deployment.elapsed()
    try:
        with urllib.request.urlopen(
            request, timeout=_PATIENCE_S
        ) as answer:  # nosec B310  # http, this machine
            status, kind, text = answer.status, answer.headers.get_content_type(), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            status, kind, text = error.code, error.headers.get_content_type(), error.read()
    except (OSError, ValueError) as error:
        return f"{url} does not answer: {error}"
    return _Answer(status, kind, text, deployment.elapsed() - begun)


def _shown(answer: _Answer) -> str:
    return f"status {answer.status}, {answer.body[:200].decode('utf-8', 'replace')!r}"
