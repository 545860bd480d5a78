"""The generated pages are current and leave nothing out, and what they show works."""

import re
import sys
from pathlib import Path

import pytest
import yaml

from ringfence.cli.main import build_parser, leaves
from ringfence.language.codes import CODES
from ringfence.language.fields import FIELDS
from ringfence.language.linking import link
from ringfence.language.rule_library import load_rule_library
from ringfence.language.source import load

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[1]
REFERENCE = ROOT / "docs" / "reference"
VARIABLE = re.compile(r"\bRINGFENCE_[A-Z]+(?:_[A-Z]+)*\b")
HOW = "run `make docs`"


def written(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text(encoding="utf-8")


@pytest.fixture
def generate(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(str(ROOT))
    from docs.generate import __main__ as module

    yield module
    for name in [each for each in sys.modules if each == "docs" or each.startswith("docs.")]:
        del sys.modules[name]


def test_the_pages_are_current(generate) -> None:
    old = [path.name for path, text in generate.pages().items() if path.read_text("utf-8") != text]

    assert old == [], HOW


def test_a_page_that_is_not_current_is_named_and_then_written(
    generate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "docs" / "rules.md"
    monkeypatch.setattr(generate, "ROOT", tmp_path)
    monkeypatch.setattr(generate, "pages", lambda: {page: "# Rules\n"})

    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().out == f"docs/rules.md: not current, {HOW}\n"
    assert not page.exists()
    assert generate.main([]) == 0
    assert page.read_text(encoding="utf-8") == "# Rules\n"
    assert generate.main(["--check"]) == 0


def test_every_rule_and_each_of_its_parameters_is_described() -> None:
    sections = re.split(r"^## ", written("rules"), flags=re.MULTILINE)
    by_name = {text.splitlines()[0]: text for text in sections}

    for rule in load_rule_library():
        section = by_name[rule.name]
        assert rule.key in section
        assert rule.docs.strip() in section
        assert all(source in section for source in rule.sources)
        assert [name for name in rule.parameters.parameters if f"| `{name}` |" not in section] == []


def test_every_field_is_described() -> None:
    page = written("fields")

    assert [name for name in FIELDS if f"| `{name}` |" not in page] == []


def test_every_error_code_is_described_with_a_finding() -> None:
    page = written("errors")

    assert [code for code in CODES if f"### {code}\n" not in page] == []
    assert [code for code in CODES if f"[{code}]: " not in page] == []


def test_every_argument_of_every_command_is_described_and_says_what_it_is() -> None:
    page = written("cli")
    commands = leaves(build_parser())

    assert commands
    for name, command in commands.items():
        section = re.split(r"^## ", page.partition(f"## ringfence {name}\n")[2], flags=re.M)[0]
        flags = [flag for action in command._actions for flag in action.option_strings]
        assert [flag for flag in flags if not re.search(rf"`{flag}[ `]", section)] == [], name
        assert [action.dest for action in command._actions if not action.help] == [], name


def test_every_variable_that_the_program_reads_is_described() -> None:
    page = written("cli")
    sources = [*(ROOT / "engine").rglob("*.py"), ROOT / "docker" / "ringfence" / "entrypoint"]
    read = {name for path in sources for name in VARIABLE.findall(path.read_text("utf-8"))}

    assert read
    assert sorted(name for name in read if name not in page) == []


def test_every_example_gate_is_one_that_a_policy_can_hold() -> None:
    examples = re.findall(r"```yaml\n(.*?)```", written("rules"), re.DOTALL)
    names = {each["rule"].partition("@")[0] for text in examples for each in yaml.safe_load(text)}
    text = (
        "apiVersion: ringfence/v1\nkind: Policy\n"
        "metadata: {name: all, version: 1.0.0, owner: o, description: d}\n"
        "spec:\n  gates:\n" + "".join(f"    {line}\n" for line in "".join(examples).splitlines())
    )

    linked = link([load(text.encode(), "policy.yaml")], check_mandatory=False)

    assert names == {rule.name for rule in load_rule_library()}
    assert len(linked.gates) == len(names)
