"""A saved plan: everything that shows it again, and the files of both sides, so that it can be applied.

The digest tells a file that was changed by accident or by hand; it is no signature: keep plans where only the
pipeline writes.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence import _resources
from ringfence.errors import InputError, PolicyError, reason_of
from ringfence.language.linking import LinkedSet
from ringfence.review.plan import SCHEMA
from ringfence.runtime.output_files import write_output
from ringfence.runtime.policy_files import files_in, files_told
from ringfence.runtime.policy_set import PolicySet
from ringfence.runtime.ports import SYSTEM_FILES, Files

__all__ = ["SavedPlan", "load_plan", "save_plan"]

_MOST_BYTES = 512 << 20
_AGAIN = "make it again: ringfence plan --base REF -o FILE"


@dataclass(frozen=True, slots=True)
class SavedPlan:
    """A plan out of a file.

    Attributes:
        plan: As the schema has it, without `files` and `digest`.
        base, head: The sets of both sides, from the files that the plan holds.
    """

    plan: dict[str, Any]
    base: PolicySet
    head: PolicySet


def save_plan(
    path: Path, plan: dict[str, Any], base: LinkedSet, head: LinkedSet, files: Files = SYSTEM_FILES
) -> None:
    """Write a plan, whole or not at all.

    Raises:
        InputError: the file cannot be written.
    """
    sides = {"base": files_told(base.files), "head": files_told(head.files)}
    whole = {**plan, "files": sides}
    whole["digest"] = _digest(whole)
    text = json.dumps(whole, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        write_output(path, text, files)
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{path}` cannot be written: {reason}", "name another file with -o"
        ) from None


def load_plan(path: Path) -> SavedPlan:
    """Read a saved plan.

    Raises:
        InputError: it cannot be read, is no saved plan, or is not what was written.
    """
    found = _read(path)
    if not isinstance(found, dict) or found.get("schema") != SCHEMA:
        raise InputError(f"`{path}` is no saved plan", _AGAIN)
    if found.pop("digest", None) != _digest(found):
        raise InputError(f"`{path}` is not what was written: its digest differs", _AGAIN)
    _check(found, path)
    sides = found.pop("files")
    base, head = (_side(found, sides, name, path) for name in ("base", "head"))
    return SavedPlan(found, base, head)


def _read(path: Path) -> Any:
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise InputError(f"`{path}` is larger than any plan", _AGAIN)
        return json.loads(path.read_bytes())
    except OSError as error:
        reason = reason_of(error)
        raise InputError(
            f"`{path}` cannot be read: {reason}", "name a file that `plan -o` wrote"
        ) from None
    except (ValueError, RecursionError):
        raise InputError(f"`{path}` is no saved plan", _AGAIN) from None


def _check(found: dict[str, Any], path: Path) -> None:
    from jsonschema import Draft202012Validator

    schema = json.loads((_resources.bundled("schemas") / "plan.v1.schema.json").read_text("utf-8"))
    wrong = next(Draft202012Validator(schema).iter_errors(found), None)
    if wrong is not None or "files" not in found:
        raise InputError(f"`{path}` is no plan that this version reads", _AGAIN)


def _side(found: dict[str, Any], sides: dict[str, Any], name: str, path: Path) -> PolicySet:
    try:
        policy_set = PolicySet.from_files(files_in(sides[name]))
    except PolicyError as error:
        first = error.diagnostics[0]
        raise InputError(
            f"the files of the {name} in `{path}` do not link: {first.code}: {first.message}",
            _AGAIN,
        ) from None
    if policy_set.sha256 != found[name]["policy_set"]:
        raise InputError(f"the files of the {name} in `{path}` make another policy set", _AGAIN)
    return policy_set


def _digest(whole: dict[str, Any]) -> str:
    text = json.dumps(
        whole, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False
    )
    return hashlib.sha256(text.encode("ascii")).hexdigest()
