"""Hostile expressions in a rule: refused by `validate` when the rule is read; nothing of them ever runs."""

import json
from pathlib import Path

import pytest
import yaml

from ringfence.cli.main import main

pytestmark = pytest.mark.security

RULE = Path(__file__).resolve().parents[2] / "rules" / "order-notional.yaml"
RUN = "open('ran', 'w')"


@pytest.mark.parametrize(
    "expression",
    [
        "().__class__",
        "().__class__.__base__.__subclasses__()",
        "__import__('os').system('touch ran')",
        "order.notional.__class__",
        "order.__init__.__globals__",
        RUN,
        f"[{RUN} for _ in (1,)][0]",
        f"(lambda: {RUN})()",
        f"(ran := {RUN})",
        f"f'{{{RUN}}}'",
        f"eval({RUN!r})",
        f"abs({RUN})",
        f"min(*{RUN})",
        f"max(1, key={RUN})",
        f"order.notional if {RUN} else 1",
        f"order.notional; {RUN}",
        f"order.notional\n{RUN}",
        f"order.notional #\n+ {RUN}",
        "9**9**9",
        "1 << 9999999999",
        "'a' * 9999999999",
        "9" * 1999,
        "9" * 100_000,
        "0x" + "f" * 1990,
        "1e999999999",
        "1" + "_0" * 990,
        "(" * 900 + "1" + ")" * 900,
        "-" * 1990 + "1",
        "not " * 490 + "True",
        "abs(" * 390 + "1" + ")" * 390,
        "1" + "+1" * 990,
        "1 if True else " * 130 + "1",
        "1 < " * 490 + "1",
        "[" * 1000,
        "order.notional\0",
        "\0",
        "\ufeff\u202eorder.notional",
        "оrder.notional",
        "order\u2024notional",
        "𝐚bs(order.notional)",
        "yield",
        "await order",
        "*",
        "\\",
        '"""',
    ],
    ids=lambda text: ascii(text[:30]),
)
def test_a_hostile_expression_is_refused_and_does_not_run(
    expression: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    rule = yaml.safe_load(RULE.read_text(encoding="utf-8"))
    rule["spec"]["checks"][0]["measure"] = expression
    # JSON is YAML; it escapes what YAML text may not hold.
    Path("rule.yaml").write_text(
        json.dumps(rule, default=str, ensure_ascii=False), encoding="utf-8"
    )

    assert main(["validate", "rule.yaml", "--json"]) == 1
    codes = {each["code"] for each in json.loads(capsys.readouterr().out)["findings"]}
    assert codes <= {"E104", "E156", *(f"E20{n}" for n in range(1, 8))}, codes
    assert [each.name for each in tmp_path.iterdir()] == ["rule.yaml"]
