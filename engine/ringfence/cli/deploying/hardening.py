"""What a compose file lets its services do that they need not."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ringfence.cli.deploying.step import Finding, Severity

__all__ = ["find_soft_spots"]

_SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|API_KEY|PRIVATE_KEY|CREDENTIAL", re.IGNORECASE)
_DEFAULTED = re.compile(r"\$\{[A-Z0-9_]+:?-([^}]*)\}")
_LOOPBACK = ("127.", "[::1]", "::1", "localhost")


def find_soft_spots(compose: Mapping[str, Any]) -> list[Finding]:
    """Every service that keeps capabilities, may gain rights, is open to the network, holds a password or runs an image
    that is not pinned.

    Args:
        compose: The compose file as it is written: variables are not filled in.
    """
    services = compose.get("services")
    if not isinstance(services, dict) or not services:
        return [Finding(Severity.ERROR, "the compose file names no service", "restore the file")]
    return [each for name, about in services.items() for each in _of_service(name, about or {})]


def _of_service(name: str, about: Mapping[str, Any]) -> Iterator[Finding]:
    def wrong(what: str, fix: str, severity: Severity = Severity.ERROR) -> Finding:
        return Finding(severity, f"service `{name}` {what}", fix)

    if "ALL" not in _words(about.get("cap_drop")):
        yield wrong("keeps capabilities", "add `cap_drop: [ALL]`")
    if not any(each.replace("=", ":") in _NO_NEW for each in _words(about.get("security_opt"))):
        yield wrong("may gain rights", 'add `security_opt: ["no-new-privileges:true"]`')
    if about.get("privileged"):
        yield wrong("is privileged", "take `privileged` out")
    for key in ("network_mode", "pid", "ipc", "userns_mode"):
        if about.get(key) == "host":
            yield wrong(f"shares the machine's `{key}`", f"take `{key}: host` out")
    for volume in about.get("volumes") or ():
        source = volume.get("source", "") if isinstance(volume, dict) else str(volume).split(":")[0]
        if str(source).endswith(("docker.sock", "podman.sock")):
            yield wrong("holds the engine's socket, and so the machine", "take the volume out")
    for port in about.get("ports") or ():
        if not _is_loopback(port):
            yield wrong(
                f"listens on every address of the machine: `{_shown(port)}`",
                'bind it to loopback, as `"127.0.0.1:5000:5000"`, and put a proxy with TLS before it',
            )
    for key in _passwords(about.get("environment")):
        yield wrong(
            f"has `{key}` in the file, or a default for it",
            f"give a file, as `{key}_FILE`, by `secrets:`",
        )
    yield from _of_image(about, wrong)
    if not (about.get("mem_limit") or _limits(about).get("memory")):
        yield wrong("may take all memory", "add `mem_limit`", Severity.WARNING)
    if not about.get("read_only"):
        yield wrong("may write its own programs", "add `read_only: true`", Severity.WARNING)


_NO_NEW = ("no-new-privileges:true", "no-new-privileges")


def _of_image(about: Mapping[str, Any], wrong: Any) -> Iterator[Finding]:
    image = _filled(str(about.get("image", "")))
    if about.get("build") and not image:
        yield wrong("has no name for its image, so there is no going back", "add `image`")
    elif not about.get("build") and "@sha256:" not in image:
        _, _, tag = image.rpartition("/")[2].partition(":")
        if not tag or tag == "latest":
            yield wrong(f"runs whatever `{image}` is today", "name a version and its digest")
        else:
            yield wrong(
                f"runs `{image}`, which others can replace",
                "add its digest, `@sha256:...`",
                Severity.WARNING,
            )


def _passwords(environment: Any) -> Iterator[str]:
    """The names of secrets that have a text in the file."""
    if isinstance(environment, dict):
        pairs = [
            (str(key), "" if value is None else str(value)) for key, value in environment.items()
        ]
    else:
        pairs = [each.partition("=")[::2] for each in _words(environment)]
    for key, value in pairs:
        if _SECRET.search(key) and not key.endswith("_FILE") and _filled(value).strip():
            yield key


def _filled(text: str) -> str:
    """The text with its variables at their defaults; those without one are empty."""
    text = _DEFAULTED.sub(lambda found: found[1], text)
    return re.sub(r"\$\{[A-Z0-9_]+(:?\?[^}]*)?\}", "", text)


def _is_loopback(port: Any) -> bool:
    if isinstance(port, dict):
        host = str(port.get("host_ip", ""))
        return "published" not in port or _filled(host).startswith(_LOOPBACK)
    text = _filled(str(port))
    # `5000` alone is published, too: on every address, at a port that the engine picks.
    return text.startswith(_LOOPBACK) and text.count(":") >= 2


def _shown(port: Any) -> str:
    return (
        str(port) if not isinstance(port, dict) else f"{port.get('published')}:{port.get('target')}"
    )


def _limits(about: Mapping[str, Any]) -> Mapping[str, Any]:
    deploy = about.get("deploy")
    resources = deploy.get("resources") if isinstance(deploy, dict) else None
    limits = resources.get("limits") if isinstance(resources, dict) else None
    return limits if isinstance(limits, dict) else {}


def _words(value: Any) -> list[str]:
    return [str(each) for each in value] if isinstance(value, list) else []
