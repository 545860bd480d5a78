"""Invariants: how they are read, what they mean, and that they are no part of a policy set."""

from pathlib import Path

import pytest

from ringfence.cli.main import main
from ringfence.language import ir
from ringfence.language.invariant_library import STRICTNESS, invariants_for, shipped_invariants
from ringfence.language.invariants import STANDARDS, Invariant, read_invariant
from ringfence.language.linking import LinkedSet, link
from ringfence.language.parameters import Money
from ringfence.language.schema import check
from ringfence.language.source import Document, load

pytestmark = pytest.mark.unit

ROOT = Path(__file__).resolve().parents[2]
POLICY = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk, version: 1.0.0, owner: risk, description: The desk.}
spec:
  currency: USD
  gates: [{rule: order-notional@1, limits: {max: 10_000 USD}}]
"""


def document(spec: str, name: str = "small-orders") -> Document:
    text = (
        "apiVersion: ringfence/v1\nkind: Invariant\n"
        f"metadata: {{name: {name}, version: 1.0.0, description: d}}\nspec: {{{spec}}}\n"
    )
    found = load(text, f"{name}.yaml")
    assert check(found, "Invariant") == []
    return found


def read(spec: str) -> Invariant:
    invariant, findings = read_invariant(document(spec))
    assert invariant is not None, findings
    return invariant


def codes(spec: str) -> list[str]:
    return [each.code for each in read_invariant(document(spec))[1]]


def linked(*more: Document) -> LinkedSet:
    return link([load(POLICY, "policy.yaml"), *more], check_mandatory=False)


def test_a_claim_is_a_typed_expression_over_fields_and_its_own_values() -> None:
    invariant = read(
        "claim: order.notional <= params.most, level: firm, parameters: {most: 200_000 USDT}"
    )

    assert isinstance(invariant.claim, ir.Compare)
    assert invariant.values == {"most": Money(200_000, "USDT")}
    assert invariant.level == "firm"
    assert invariant.says == "order.notional <= params.most"


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("market.spread <= params.most", "2%"),
        ("market.spread <= params.most", "250 bps"),
        ("market.age <= params.most", "10s"),
        ("book.exposure_after <= params.most * book.equity", "3x"),
        ("order.size <= params.most", "{quantity: 2.5}"),
        ("order.price <= params.most", '{price: "60000"}'),
        ("control.kill_state <= params.most", "1"),
        ("order.price_deviation <= params.most", "1%"),
    ],
)
def test_a_value_has_the_unit_that_it_is_written_with(claim: str, value: str) -> None:
    assert (
        codes(f"claim: {claim}, parameters: {{most: {value}, working: gross, reference: mid}}")
        == []
    )


@pytest.mark.parametrize(
    ("spec", "code"),
    [
        ("claim: order.notional <= params.most, parameters: {most: 5%}", "E203"),
        ("claim: order.notional <= order.size", "E203"),
        ("claim: order.size <= params.most", "E204"),
        ("claim: book.exposure_after >= book.equity", "E207"),
        ("claim: order.is_buy, assume: [order.size]", "E533"),
        ("claim: order.is_buy, assume: [order.siz]", "E204"),
        ("claim: order.is_buy, standard: size-never-grows", "E532"),
        ("claim: order.is_buy, parameters: {working: nett}", "E534"),
        ("claim: order.is_buy, parameters: {most: [a]}", "E534"),
        ("claim: order.is_buy, parameters: {window: 5}", "E534"),
        ("claim: order.is_buy, parameters: {most: {quantity: many}}", "E534"),
    ],
)
def test_what_cannot_be_meant_is_a_finding(spec: str, code: str) -> None:
    assert codes(spec) == [code]


def test_its_hash_is_that_of_its_meaning() -> None:
    one = read("claim: order.notional<=params.most, parameters: {most: 200_000 USDT}")
    other = read("claim: order.notional <= params.most, parameters: {most: 2e5 USDT}")
    third = read("claim: order.notional <= params.most, parameters: {most: 200_001 USDT}")

    assert one.sha256 == other.sha256
    assert one.sha256 != third.sha256


def test_an_invariant_does_not_change_the_policy_set_that_it_is_about() -> None:
    with_claim = linked(document("claim: order.is_buy"))

    assert with_claim.sha256 == linked().sha256
    assert with_claim.files == linked().files


def test_the_shipped_ones_hold_of_every_set_and_strictness_only_where_it_is_claimed() -> None:
    names = {each.name for each in shipped_invariants()}

    assert names == {*STANDARDS, "kill-switch-dominates"}
    assert all(each.shipped and each.description for each in shipped_invariants())
    assert {each.name for each in invariants_for(linked())[0]} == names - {STRICTNESS}
    assert {each.name for each in invariants_for(linked(), strict=True)[0]} == names


def test_a_file_replaces_the_shipped_invariant_of_its_name() -> None:
    own = document("standard: known-inputs, assume: [order.type != 'market']", "known-inputs")

    found, findings = invariants_for(linked(own))

    assert findings == []
    assert [each.shipped for each in found if each.name == "known-inputs"] == [False]


def test_a_currency_without_a_rate_is_found() -> None:
    own = document("claim: order.notional <= params.most, parameters: {most: 5 EUR}")

    assert [each.code for each in invariants_for(linked(own))[1]] == ["E213"]


def test_validate_reads_claims(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "claim.yaml").write_bytes(document("claim: order.notional").content)

    assert main(["validate", str(tmp_path)]) == 1
    assert "E533" in capsys.readouterr().err
