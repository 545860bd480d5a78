"""`ringfence init`: the files of a new policy repository, wired to one another and green from the start."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ringfence.errors import InputError, reason_of
from ringfence.language.editor_schema import editor_schema
from ringfence.language.parameters import CURRENCY
from ringfence.language.rule_library import load_rule_library
from ringfence.language.schema import KINDS
from ringfence.language.yaml_files import yaml_files
from ringfence.review.layout_scalars import inline_text
from ringfence.review.layout_tree import Scalar

__all__ = ["Desk", "Written", "render", "repository_files", "schema_file", "write_new"]

_FILES = Path(__file__).parent / "scaffold_files"
_MOST_LETTERS = 80
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
# Names that stand in YAML without quotes, in paths of books and in lists.
_ACCOUNT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_DIRECTORY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_BASE = re.compile(r"[A-Z][A-Z0-9]{0,9}")
_OWNER = re.compile(r"@?[A-Za-z0-9][A-Za-z0-9._%+/-]*(@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+)?")

# In the order in which a reader would look at them; what stands in the way of one is left as it is.
_TARGETS = {
    "README.md": "readme.md",
    "{policies}/firm.yaml": "firm.yaml",
    "{policies}/{name}.yaml": "desk.yaml",
    "{policies}/instruments.yaml": "instruments.yaml",
    "{policies}/tests/firm.yaml": "firm-test.yaml",
    "{policies}/tests/{name}.yaml": "desk-test.yaml",
    "{policies}/invariants/order-value.yaml": "invariant.yaml",
    ".ringfence/approvals.yaml": "approvals.yaml",
    ".ringfence/settings.yaml": "settings.yaml",
    ".github/workflows/policy-gate.yml": "workflow.yml",
    ".github/CODEOWNERS": "codeowners",
    ".pre-commit-config.yaml": "pre-commit.yaml",
    ".vscode/settings.json": "vscode-settings.json",
    ".vscode/extensions.json": "vscode-extensions.json",
    ".editorconfig": "editorconfig",
    ".gitattributes": "gitattributes",
    ".gitignore": "gitignore",
}


@dataclass(frozen=True, slots=True)
class Desk:
    """What a new repository is for.

    Attributes:
        name: Of the desk, in kebab case: its policy and its file.
        currency: In which money is counted.
        accounts: Those that trade.
        bases: What is traded, against the currency; two at least, the tests use the first two.
        owner: An address or team.
        action: The GitHub action of the gate, with its version.
        version: Of Ringfence.
    """

    name: str
    currency: str
    accounts: Sequence[str]
    bases: Sequence[str]
    owner: str
    action: str
    version: str

    def check(self) -> None:
        """Raise `InputError` for what could not be written into the files as it is."""
        for text, pattern, what, fix in (
            (self.name, _NAME, "name in kebab case", "--name equity-desk"),
            (self.currency, re.compile(CURRENCY), "currency", "--currency USD"),
            *((each, _ACCOUNT, "name of an account", "--accounts main") for each in self.accounts),
            *((each, _BASE, "instrument's base", "--bases BTC,ETH") for each in self.bases),
            (self.owner, _OWNER, "address or team", "--owner risk@example.com"),
            (
                self.action,
                re.compile(r"[A-Za-z0-9._/@-]+"),
                "action",
                "--action OWNER/REPO/PATH@REF",
            ),
        ):
            if not pattern.fullmatch(text):
                raise InputError(f"`{text}` is no {what}", fix=f"write for example `{fix}`")
        if len(self.name) > _MOST_LETTERS:
            raise InputError(
                f"a name has at most {_MOST_LETTERS} letters, and `{self.name}` has {len(self.name)}",
                fix="write for example `--name equity-desk`",
            )
        if self.name in ("firm", "instruments"):
            raise InputError(
                f"`{self.name}` is the name of another file", fix="choose another name"
            )
        if len(set(self.bases)) < 2 or not self.accounts:
            raise InputError(
                "one account and two different bases are the least",
                fix="--accounts main --bases BTC,ETH",
            )
        if self.currency in self.bases:
            raise InputError(
                f"`{self.currency}` cannot be traded against itself",
                fix="leave it out of `--bases`, or count in another `--currency`",
            )
        for option, names in (("--accounts", self.accounts), ("--bases", self.bases)):
            once = list(dict.fromkeys(names))
            if twice := [each for each in once if names.count(each) > 1]:
                raise InputError(
                    f"`{option}` names `{twice[0]}` twice",
                    fix=f"name each once: `{option} {','.join(once)}`",
                )


@dataclass(frozen=True, slots=True)
class Written:
    """What was written, and what was there already and has been left as it is; paths from the top."""

    created: list[str]
    kept: list[str]


def repository_files(desk: Desk, policies: str = "policies") -> dict[str, str]:
    """Return the files of a new repository: path from its top, and text.

    Args:
        desk: What it is for.
        policies: The name of the directory of policies, at the top.

    Raises:
        InputError: a name or value cannot be used.
    """
    desk.check()
    if not _DIRECTORY.fullmatch(policies):
        raise InputError(
            f"`{policies}` is no directory right at the top", fix="write for example `limits`"
        )
    values = _values(desk, policies)
    files = {
        target.format(name=desk.name, policies=policies): render(template, values)
        for target, template in _TARGETS.items()
    }
    return files | {schema_file(kind): schema_text(kind) for kind in KINDS}


def render(template: str, values: dict[str, Any]) -> str:
    """Return a template of this package with its values filled in.

    Args:
        template: The name of its file, without `.j2`.
        values: Every name that stands in it.
    """
    # Imported here: only what writes files needs it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = (
        Environment(  # nosec B701  # YAML and Markdown, no HTML; values are checked before
            loader=FileSystemLoader(_FILES),
            undefined=StrictUndefined,
            variable_start_string="<<",
            variable_end_string=">>",
            block_start_string="<%",
            block_end_string="%>",
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
            autoescape=False,
        )
    )
    environment.filters["yaml"] = lambda text: _scalar(text, False)
    environment.filters["flow"] = lambda text: _scalar(text, True)
    return environment.get_template(f"{template}.j2").render(values)


def _scalar(text: str, in_flow: bool) -> str:
    """Text as `fmt` writes it, in quotes where it needs them."""
    return inline_text(Scalar(text, '"', []), in_flow)


def schema_file(kind: str) -> str:
    """Return where the editors' schema of a kind stands, from the top of a repository."""
    return f".ringfence/schemas/{kind.lower()}.schema.json"


def schema_text(kind: str) -> str:
    """Return the editors' schema of a kind, as a file holds it."""
    whole = editor_schema(kind, load_rule_library())
    return json.dumps(whole, indent=2, ensure_ascii=False) + "\n"


def write_new(top: Path, files: dict[str, str], *, new_set: str = "") -> Written:
    """Write files that are not there yet; what is there is never touched.

    Args:
        top: The directory that paths start from; made where it is missing.
        files: Path and text.
        new_set: A directory that must hold no YAML yet, for the files make a policy set of their own.

    Raises:
        InputError: there are policies already, or a file cannot be written; then nothing is.
    """
    if new_set and (top / new_set).is_dir() and (there := yaml_files(top / new_set)):
        raise InputError(
            f"`{top / new_set}` holds documents already, such as `{there[0].name}`",
            fix="`ringfence new policy NAME` adds one to them; or name another directory",
        )
    kept = [path for path in files if (top / path).is_symlink() or (top / path).exists()]
    created = [path for path in files if path not in kept]
    _check_places(top, created)
    for path in created:
        target = top / path
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            # Exclusive: what somebody else has put there in the meantime is not written over.
            with target.open("x", encoding="utf-8", newline="\n") as file:
                file.write(files[path])
        except OSError as error:
            raise InputError(
                f"`{target}` cannot be written: {reason_of(error)}",
                fix="check the permissions of its directory, and the room on its disk",
            ) from None
    return Written(created, kept)


def _check_places(top: Path, paths: Iterable[str]) -> None:
    """Refuse directories that lead elsewhere, and files that stand where a directory has to be."""
    whole = Path(os.path.realpath(top))
    for path in paths:
        place = top / path
        for parent in list(place.parents)[: len(Path(path).parts)]:
            if (parent.exists() or parent.is_symlink()) and not parent.is_dir():
                raise InputError(f"`{parent}` is not a directory", fix="move it out of the way")
        if not place.parent.resolve().is_relative_to(whole):
            raise InputError(
                f"`{place.parent}` leads to a directory elsewhere", fix="name that directory itself"
            )


def _values(desk: Desk, policies: str) -> dict[str, Any]:
    first, second = (f"{base}/{desk.currency}" for base in desk.bases[:2])
    # Room for two accounts at their own limits of a million each, and 25,000 for the order of the tests.
    exposure = 2_000_000
    return {
        "name": desk.name,
        "title": f"the desk `{desk.name}`",
        "currency": desk.currency,
        "accounts": desk.accounts,
        "account": desk.accounts[0],
        "bases": desk.bases,
        "owner": desk.owner,
        "person": desk.owner.rpartition("/")[2].removeprefix("@"),
        "action": desk.action,
        "version": desk.version,
        "policies": policies,
        "first": first,
        "second": second,
        # A pair is written in the order of the alphabet.
        "pair": "|".join(sorted((first, second))),
        "firm_exposure": f"{exposure:_}",
        "held_at_most": f"{(exposure - 25_000) / 2000:g}",
        "held_too_much": f"{(exposure - 24_000) / 2000:g}",
    }
