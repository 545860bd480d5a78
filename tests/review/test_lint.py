"""Taste: what `lint` finds, what it leaves alone, and that spelling anew changes no value."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringfence.language.linking import link
from ringfence.language.parameters import Parameter, ParameterSet
from ringfence.language.rule_library import RuleLibrary
from ringfence.language.source import load
from ringfence.review.lint import lint, mended
from ringfence.review.lint_owners import known_owners
from ringfence.review.lint_spelling import respelled, spelling

pytestmark = pytest.mark.unit

POLICY = """\
# yaml-language-server: $schema=https://example.com/policy.json
apiVersion: ringfence/v1
kind: Policy
metadata:
  name: desk
  version: 1.0.0
  owner: risk@example.com
  description: What the desk may do.
spec:
  currency: USD
  gates:
    - rule: total-exposure@1
      limits: {max: 100_000 USD, max_of_equity: 95%}
    - rule: correlated-exposure@1
      limits: {threshold: 0.7, max_of_equity: 30%}
"""
TEST = """\
# yaml-language-server: $schema=https://example.com/policy-test.json
apiVersion: ringfence/v1
kind: PolicyTest
metadata: {name: desk, version: 1.0.0}
cases:
  - name: too much
    then: {decision: REJECT, gates: {total-exposure: breach, correlated-exposure: pass}}
"""


def codes(folder: Path, policy: str = POLICY, **files: str) -> list[str]:
    (folder / "tests").mkdir(exist_ok=True)
    (folder / "desk.yaml").write_text(policy, encoding="utf-8")
    (folder / "tests" / "desk.yaml").write_text(TEST, encoding="utf-8")
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return [each.code for each in lint([folder], folder).findings]


def test_our_own_documents_have_nothing_said_of_them() -> None:
    root = Path(__file__).resolve().parents[2]
    found = lint([root / each for each in ("policies", "rules", "examples")], root)

    assert len(found.documents) > 30
    assert [f"{each.span}: {each.message}" for each in found.findings] == []


def test_a_tidy_set_has_nothing_said_of_it(tmp_path: Path) -> None:
    assert codes(tmp_path) == []


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("name: desk", "name: other", "E452"),
        ("risk@example.com", "somebody", "E454"),
        ("What the desk may do.", "''", "E455"),
        ("What the desk may do.", "Desk", "E455"),
        ("What the desk may do.", "what the desk may do.", "E455"),
        ("What the desk may do.", "What the desk may do", "E455"),
        ("100_000 USD", "100000 USD", "E456"),
        ("95%", "0.95", "E457"),
        ("correlated-exposure@1", "position-size@1", "E461"),
        ("https://example.com/policy.json", "../no-such-schema.json", "E462"),
        ("# yaml-language-server", "# editor", "E462"),
        ("  currency: USD", "  currency: USD\n  scope: {venues: ['*']}", "E463"),
    ],
)
def test_each_slip_is_found(old: str, new: str, code: str, tmp_path: Path) -> None:
    found = codes(tmp_path, POLICY.replace(old, new).replace("threshold: 0.7, ", ""))

    assert set(found) == {code}


def test_a_schema_that_is_not_there_is_shown_where_it_is_named(tmp_path: Path) -> None:
    text = POLICY.replace("https://example.com/policy.json", "../none.json")
    assert codes(tmp_path, "# of the desk\n" + text) == ["E462"]

    (found,) = lint([tmp_path], tmp_path).findings
    assert found.span is not None
    assert (found.span.line, found.span.column, found.span.end_column) == (2, 33, 45)


def test_a_description_may_start_with_a_number_or_a_quote(tmp_path: Path) -> None:
    assert (
        codes(tmp_path, POLICY.replace("What the desk may", "'8 gates that the desk must'")) != []
    )
    assert (
        codes(tmp_path, POLICY.replace("What the desk may do.", "8 gates. What may be done?")) == []
    )


def test_owners_are_those_whom_the_repository_names(tmp_path: Path) -> None:
    owned = POLICY.replace("risk@example.com", "RISK")
    assert codes(tmp_path, owned) == ["E454"]

    (tmp_path / ".github").mkdir()
    (tmp_path / ".github" / "CODEOWNERS").write_text(
        "# who reviews\n/policies/ @example/risk desk@example.com # both\n\n[Section]\n", "utf-8"
    )
    assert codes(tmp_path, owned) == []
    assert codes(tmp_path, POLICY.replace("risk@example.com", "desk@example.com")) == []
    assert codes(tmp_path, POLICY.replace("risk@example.com", "desk2@example.com")) == ["E454"]
    (found,) = lint([tmp_path], tmp_path).findings
    assert "did you mean `desk@example.com`?" in found.message


def test_groups_of_approvers_may_own(tmp_path: Path) -> None:
    (tmp_path / ".ringfence").mkdir()
    path = tmp_path / ".ringfence" / "approvals.yaml"
    path.write_text("spec: {groups: {risk: [ada, grace@example.com], desk: none}}\n", "utf-8")
    owners = known_owners(tmp_path)
    assert [
        each for each in ("risk", "ada", "Grace@example.com", "bob") if not owners.know(each)
    ] == ["bob"]

    path.write_text("a: [\n", encoding="utf-8")
    assert not known_owners(tmp_path).know("risk")
    path.write_text("[]\n", encoding="utf-8")
    assert not known_owners(tmp_path).know("risk")


def test_documents_that_are_not_valid_are_said_first(tmp_path: Path) -> None:
    found = codes(tmp_path, bad="a: [\n", wrong="kind: Policy\n", other="services: {}\n")

    assert found == ["E102", "E152", "E152", "E152"]


def test_a_rule_of_the_set_gives_its_parameters_their_types(tmp_path: Path) -> None:
    rule = (Path(__file__).resolve().parents[2] / "rules" / "leverage.yaml").read_text("utf-8")
    own = rule.replace("name: leverage", "name: gearing").replace("leverage: ", "gearing: ")
    own = own.replace(
        "# yaml-language-server: $schema=../schemas", "# yaml-language-server: $schema=https://x"
    )

    found = codes(
        tmp_path,
        POLICY + "    - rule: gearing@1\n      limits: {max_leverage: 300%}\n",
        gearing=own,
    )

    assert found == ["E461", "E457"]


def test_a_rule_without_cases_and_twins_are_found(tmp_path: Path) -> None:
    rule = (Path(__file__).resolve().parents[2] / "rules" / "leverage.yaml").read_text("utf-8")
    bare = rule.partition("  case_defaults:")[0]

    assert "E460" in codes(tmp_path, leverage=bare)
    assert "E453" in codes(tmp_path, leverage=rule + rule[rule.rindex("    - name:") :])


def test_what_is_switched_off_is_not_looked_for(tmp_path: Path) -> None:
    codes(tmp_path, POLICY.replace("100_000", "100000").replace("95%", "0.95"))

    found = lint([tmp_path], tmp_path, {"E456"})

    assert [each.code for each in found.findings] == ["E457"]
    assert [each.code for each in found.spelled[f"{tmp_path}/desk.yaml"]] == ["E457"]


MONEY = Parameter("max", "money", limit=True)
RATIO = Parameter("share", "ratio", limit=True)
TIMES = Parameter("times", "multiple", limit=True)
AGE = Parameter("age", "duration", limit=True)


@pytest.mark.parametrize(
    ("parameter", "written", "wanted"),
    [
        (MONEY, "50000 USD", "50_000 USD"),
        (MONEY, "5_0000 USDT", "50_000 USDT"),
        (MONEY, "50_000USD", "50_000 USD"),
        (MONEY, "1e6 USD", "1_000_000 USD"),
        (MONEY, "1234567.50 USD", "1_234_567.50 USD"),
        (MONEY, "5000 USD", "5000 USD"),
        (MONEY, "5_000 USD", "5_000 USD"),
        (RATIO, "0.03", "3%"),
        (RATIO, "0.0125", "1.25%"),
        (RATIO, "3 %", "3%"),
        (RATIO, "250bps", "250 bps"),
        (RATIO, "0", "0"),
        (TIMES, "3", "3x"),
        (TIMES, "250%", "2.5x"),
        (AGE, "5000ms", "5s"),
        (AGE, "250ms", "250ms"),
        (AGE, "60s", "60s"),
        (AGE, "300s", "5m"),
        (AGE, "5 min", "5m"),
        (AGE, "86400s", "1d"),
        (AGE, "90m", "90m"),
        (AGE, "2w", None),
        (Parameter("threshold", "ratio"), "0.7", None),
        (Parameter("n", "count", limit=True), "100000", None),
    ],
)
def test_spelling(parameter: Parameter, written: str, wanted: str | None) -> None:
    assert (spelling(parameter, written)[1] or [None])[0] == wanted


numbers = st.decimals(0, 10**9, places=4) | st.integers(0, 10**12)
spelled = st.one_of(
    st.tuples(st.just("max"), numbers.map(lambda each: f"{each} USD")),
    st.tuples(st.just("max"), st.integers(0, 10**9).map(lambda each: f"{each:_}USD")),
    st.tuples(st.just("share"), st.decimals(0, "0.99", places=6).map(str)),
    st.tuples(st.just("share"), st.decimals(0, 500, places=3).map(lambda each: f"{each} %")),
    st.tuples(st.just("times"), numbers.map(lambda each: f"{each}%")),
    st.tuples(st.just("age"), st.tuples(st.integers(0, 10**7), st.sampled_from(["ms", "s", "min", " h"])).map(
        lambda each: f"{each[0]}{each[1]}")),
)  # fmt: skip
SETS = ParameterSet({each.name: each for each in (MONEY, RATIO, TIMES, AGE)}, {})


@settings(max_examples=300)
@given(limit=spelled)
def test_what_is_offered_is_the_same_value_and_fine_itself(limit: tuple[str, str]) -> None:
    name, written = limit
    text = POLICY.replace("max: 100_000 USD, max_of_equity: 95%", f"{name}: {written}")
    document = load(text, "desk.yaml")
    value = document.data["spec"]["gates"][0]["limits"][name]

    class Rule:
        parameters = SETS

    class Library:
        def find(self, *_: str) -> tuple[type[Rule], list[str]]:
            return Rule, []

    for each in respelled(document, Library()):  # type: ignore[arg-type]
        if each.span.line != 13:
            continue
        assert SETS.plainly({name: each.wanted}) == SETS.plainly({name: value})
        assert (spelling(SETS.parameters[name], each.wanted)[1])[0] == each.wanted


def test_mending_changes_no_meaning_and_leaves_nothing_to_mend() -> None:
    text = POLICY.replace("100_000 USD, max_of_equity: 95%", "'1000000 USD', max_of_equity: 0.95")
    document = load(text, "desk.yaml")
    library = RuleLibrary()
    found = list(respelled(document, library))

    after = load(mended(document, found), "desk.yaml")

    assert [each.wanted for each in found] == ["1_000_000 USD", "95%"]
    assert "limits: {max: 1_000_000 USD, max_of_equity: 95%}" in after.source.text
    assert list(respelled(after, library)) == []
    digests = [link([each], check_mandatory=False).sha256 for each in (document, after)]
    assert digests[0] == digests[1]
