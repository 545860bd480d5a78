"""A plan as data, as text, as a comment and as a file: complete, harmless, and what was written."""

import copy
import io
import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from rich.console import Console

from replay.sample_summaries import SAMPLES
from review.plans import EDITS, SCHEMA, SHIPPED, WITNESS, edited, linked, plan, usual
from ringfence.errors import InputError
from ringfence.review.approval_rules import DEFAULT_RULES
from ringfence.review.directions import Witness
from ringfence.review.plan import Given
from ringfence.review.plan_file import load_plan, save_plan
from ringfence.review.plan_findings import plan_findings
from ringfence.review.plan_html import render_html
from ringfence.review.plan_markdown import MARKER, render_markdown
from ringfence.review.plan_text import render_text
from ringfence.review.plan_words import headline, rows_of, witnesses_of
from ringfence.review.witness_words import witness_told

pytestmark = pytest.mark.unit


def text_of(found: dict[str, Any], width: int = 200, **more: Any) -> str:
    out = io.StringIO()
    render_text(found, Console(file=out, width=width), **more)
    return out.getvalue()


def with_dry_run() -> dict[str, Any]:
    summary = SAMPLES["everyday"]()
    return usual(dry_run=summary)


def test_a_plan_fits_its_schema_and_holds_every_change() -> None:
    found = with_dry_run()
    jsonschema.validate(found, SCHEMA)

    assert found["direction"] == "LOOSER"
    assert [(each["policy"], each["gate"], each["direction"]) for each in found["changes"]] == [
        ("desk", "total-exposure", "LOOSER"),
        ("desk", "position-size", "TIGHTER"),
        ("desk", "order-notional", "EQUAL"),
        ("firm", "total-exposure", "LOOSER"),
    ]
    move = found["changes"][3]["moves"][0]
    assert move["base"] == {"path": "policies/firm.yaml", "line": 16, "column": 21}
    assert move["head"] == move["base"]
    assert found["base"]["commit"] == "1" * 40
    assert found["at"] == "2026-01-05T12:00:00Z"
    # What no JSON can hold is text.
    assert found["looser"]["given"]["market"]["BTC/USDT"]["ask"] == "nan"
    json.dumps(found, allow_nan=False)


def test_the_witness_is_told_in_words() -> None:
    witness = usual()["looser"]

    assert witness["order"] == "buy 1 BTC/USDT at 50,000 (stop) for account alpha, strategy taker"
    assert witness["books"] == [
        "at 2026-01-05T12:00:00Z",
        "BTC/USDT: bid 50,000, ask nan",
        "account/alpha: equity 100,000, holds -4 ETH/USDT marked 2,000, working buy 1 ETH/USDT",
        "firm: nothing held",
    ]
    assert (witness["base"]["decision"], witness["head"]["decision"]) == ("REDUCE_SIZE", "APPROVE")
    assert witness["base"]["gates"] == ["desk@1.0.0/total-exposure"]


def test_a_crowded_book_is_told_by_what_counts_in_it() -> None:
    found = Witness(
        given={
            "books": {
                "firm": {
                    "positions": {f"S{k}": {"size": k, "mark": 10} for k in range(1, 9)},
                    "working": [
                        {"side": "buy", "size": "0.5", "symbol": f"S{k % 5}"} for k in range(20)
                    ],
                }
            }
        },
        when=WITNESS.when,
        base=WITNESS.base,
        head=WITNESS.head,
    )

    told = witness_told(found)

    assert told is not None
    assert told["books"] == [
        "firm: holds 8 S8 marked 10, holds 7 S7 marked 10, holds 6 S6 marked 10, 5 smaller positions, "
        "working buy 2 S0 in 4 orders, working buy 2 S1 in 4 orders, working buy 2 S2 in 4 orders, and 2 more such"
    ]


def test_what_lets_more_pass_is_listed_first() -> None:
    rows = rows_of(usual())

    assert [(row.direction, row.subject) for row in rows] == [
        ("LOOSER", "desk / total-exposure"),
        ("LOOSER", "firm / total-exposure"),
        ("TIGHTER", "desk / position-size"),
        ("EQUAL", "desk / order-notional"),
    ]
    assert (rows[1].old, rows[1].new, rows[1].factor) == (
        "8,000,000 USDT",
        "9,000,000 USDT",
        "x 1.125",
    )
    # The same order for the whole and for each change is shown once.
    assert len(witnesses_of(usual())) == 1


@pytest.mark.parametrize(
    ("whole", "says"),
    [
        ("LOOSER", "This change is looser"),
        ("TIGHTER", "This change is tighter"),
        ("EQUAL", "This change decides every order as before"),
        ("INCOMPARABLE", "looser for some orders and tighter for others"),
        ("UNKNOWN", "could not be proved"),
    ],
)
def test_the_headline_says_the_direction_of_the_whole(whole: str, says: str) -> None:
    found = plan(edited(EDITS[0]), [whole], whole, blame="a product of two unknowns")

    assert says in headline(found)
    for shown in (text_of(found), render_markdown(found), render_html(found)):
        assert says in shown
        assert ("a product of two unknowns" in shown) == bool(found["blame"])


def test_nothing_changes_between_equal_sets() -> None:
    found = plan(SHIPPED, ["EQUAL"], "EQUAL")

    jsonschema.validate(found, SCHEMA)
    assert found["changes"] == []
    assert found["approvals"]["needs"] == []
    assert found["approvals"]["complete"]
    for shown in (text_of(found), render_markdown(found), render_html(found)):
        assert "Nothing changes" in shown


def test_a_change_that_lets_more_pass_alone_but_not_in_all_says_what_binds() -> None:
    still = "nothing passes that did not before: `firm/total-exposure` still binds"
    found = plan(edited(EDITS[0]), ["LOOSER"], "EQUAL", still=still)

    assert "LOOSER alone, but nothing passes" in text_of(found)
    assert "is looser alone, but nothing passes" in render_markdown(found)
    assert "still binds" in render_html(found)
    (finding,) = plan_findings(found)
    assert finding.why == still


def test_approvals_are_counted_and_those_left_out_have_a_reason() -> None:
    given = Given(
        DEFAULT_RULES,
        ("ann", "Ben@example.com"),
        ("ben@example.com",),
        (("dan", "was dismissed"),),
        rules_changed=True,
    )
    found = usual(given=given)

    jsonschema.validate(found, SCHEMA)
    assert found["approvals"]["needs"] == [
        {"group": "anyone", "needed": 2, "given": ["ann"], "missing": 1, "may": []}
    ]
    for shown in (text_of(found), render_html(found)):
        assert "2 of anyone: 1 given by ann, 1 missing" in shown
        assert "dan does not count: was dismissed" in shown
        assert "ben@example.com does not count: made the change" in shown
        assert "the rules of approvals change as well" in shown
    assert "1 given by ann, 1 missing" in render_markdown(found)


def test_annotations_stand_on_the_lines_that_are_looser_or_may_be() -> None:
    found = plan(
        edited(*EDITS), ["LOOSER", "TIGHTER", "EQUAL", "UNKNOWN"], "UNKNOWN", blame="why not"
    )

    looser, unknown = plan_findings(found)
    assert (looser.code, str(looser.span)) == ("E565", "policies/desk.yaml:31:18")
    assert (unknown.code, str(unknown.span), unknown.why) == (
        "E566",
        "policies/firm.yaml:16:21",
        "why not",
    )
    assert "max from 8,000,000 USDT to 9,000,000 USDT (x 1.125)" in unknown.message


def test_the_dry_run_shows_both_states_parts_and_peaks() -> None:
    found = with_dry_run()
    changes = found["dry_run"]["changes"]
    changes |= {
        "by_strategy": [
            {
                "name": "",
                "orders": 3,
                "newly_rejected": 3,
                "newly_reduced": 0,
                "newly_approved": 0,
                "resized": 0,
            }
        ],
        "by_symbol": [],
    }
    found["dry_run"]["changes_beside"] = {**changes, "mode": "frozen", "orders": 0}
    found["dry_run"]["books"] = {"touched": 1, "accounts": 4, "left_out": 12, "why": ""}

    for shown in (text_of(found), render_markdown(found), render_html(found)):
        assert "propagated" in shown
        assert "frozen" in shown
        assert "of 4 accounts" in shown
        assert "12 rows" in shown
        assert re.search(r"total.exposure", shown)
    assert "(none)" in render_markdown(found)
    assert "no order is decided otherwise" in text_of(found)


HOSTILE = "</code></td>|`x`@everyone #1 [a](javascript:b) <img src=x onerror=alert(1)> https://evil.example www.evil.example\n\n# no"


def hostile() -> dict[str, Any]:
    found = copy.deepcopy(with_dry_run())
    for change in found["changes"]:
        change["policy"] = change["gate"] = change["scope"] = change["still"] = HOSTILE
        for move in change["moves"]:
            move |= {"old": HOSTILE, "new": HOSTILE, "name": HOSTILE, "where": HOSTILE}
            move["head"] = {"path": HOSTILE, "line": 1, "column": 1}
    found["looser"] |= {"order": HOSTILE, "books": [HOSTILE]}
    found["looser"]["base"]["reason"] = HOSTILE
    found["blame"] = HOSTILE
    found["head"]["source"] = HOSTILE
    found["approvals"]["needs"] = [
        {"group": HOSTILE, "needed": 1, "given": [HOSTILE], "missing": 1, "may": [HOSTILE]}
    ]
    found["approvals"]["left_out"] = [{"person": HOSTILE, "why": HOSTILE}]
    found["dry_run"]["assumptions"] = [HOSTILE]
    found["dry_run"]["books"] = {"touched": 1, "accounts": 1, "left_out": 0, "why": HOSTILE}
    found["dry_run"]["unreplayable"] = [{"reason": HOSTILE, "rows": 1, "examples": []}]
    return found


@pytest.mark.security
def test_no_name_from_a_file_becomes_markup_a_mention_or_a_link() -> None:
    text = render_markdown(hostile())
    # What we write ourselves; all else must be gone.
    own = re.sub(
        r"</?(code|details|summary|sub|br)>|<!-- ringfence-plan -->|> \[![A-Z]+\]", "", text
    )

    own = re.sub(r"&#\d+;", "", own)
    for sign in ("<", "@", "`", "](", "javascript:", "https:", "www.", "#1"):
        assert sign not in own, sign
    # A mention stands outside of code only with its sign parted from the name.
    assert "&#64;everyone" not in re.sub(r"<code>.*?</code>", "", text)
    cells = [line.count("|") for line in text.splitlines() if line.startswith("| ")]
    assert len(set(cells)) <= 5
    page = render_html(hostile())
    assert "<img" not in page
    assert "<script" not in page


@pytest.mark.security
def test_a_terminal_is_not_steered_by_names() -> None:
    found = hostile()
    found["changes"][0]["policy"] = "a\x1b[2Jb\u202ec"

    assert "\x1b" not in text_of(found)
    assert "\u202e" not in text_of(found)


def test_a_comment_is_cut_with_counts_below_what_hosts_take() -> None:
    found = with_dry_run()
    change = found["changes"][0]
    change["moves"] = [{**change["moves"][0], "name": f"limit-{k}" + "é" * 80} for k in range(3000)]

    text = render_markdown(found)

    assert len(text) < 65_000
    assert re.search(r"\.\.\. and [\d,]+ more lines, not listed here", text)
    assert text.startswith(MARKER)
    assert "and 2,803 more lines" in text_of(found)
    assert "2,503 more lines" in render_html(found)


def test_a_page_is_the_same_for_the_same_plan_and_asks_no_network() -> None:
    page = render_html(with_dry_run())

    assert page == render_html(with_dry_run())
    assert "default-src &#39;none&#39;" in page or "default-src 'none'" in page
    assert not re.search(r'(src|href)="(?!data:|#|report\.html)', page)


# Saved plans


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "plan.json"
    save_plan(path, usual(), linked(SHIPPED, "main:"), linked(edited(*EDITS)))
    return path


def test_a_saved_plan_is_what_was_made_and_fits_the_schema(saved: Path) -> None:
    whole = json.loads(saved.read_text("utf-8"))
    jsonschema.validate(whole, SCHEMA)

    found = load_plan(saved)

    assert found.plan == usual()
    assert found.base.sha256 == whole["base"]["policy_set"]
    assert found.head.sha256 == whole["head"]["policy_set"]


def rewritten(saved: Path, **changed: Any) -> None:
    """Change a plan, and give it the digest that it would have."""
    from ringfence.review import plan_file

    whole = json.loads(saved.read_text("utf-8")) | changed
    whole.pop("digest")
    whole["digest"] = plan_file._digest(whole)
    saved.write_text(json.dumps(whole))


@pytest.mark.security
def test_a_plan_that_was_changed_is_not_read(saved: Path) -> None:
    text = saved.read_text("utf-8")
    whole = json.loads(text)
    saved.write_text(text.replace('"complete": false', '"complete": true'))
    with pytest.raises(InputError, match="is not what was written"):
        load_plan(saved)

    saved.write_text(text)
    rewritten(saved, files={**whole["files"], "head": whole["files"]["base"]})
    with pytest.raises(InputError, match="make another policy set"):
        load_plan(saved)

    saved.write_text(text)
    rewritten(saved, files={**whole["files"], "head": {"files": [["a.yaml", "kind: Policy"]]}})
    with pytest.raises(InputError, match="do not link"):
        load_plan(saved)

    saved.write_text(text)
    rewritten(saved, direction="SIDEWAYS")
    with pytest.raises(InputError, match="no plan that this version reads"):
        load_plan(saved)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "ringfence/plan/v2"}', "[" * 5000])
def test_what_is_no_plan_is_said_to_be_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "plan.json"
    path.write_text(text)

    with pytest.raises(InputError, match="is no saved plan"):
        load_plan(path)


def test_files_that_cannot_be_read_or_written_say_why(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        load_plan(tmp_path / "none.json")
    with pytest.raises(InputError, match="cannot be written"):
        save_plan(tmp_path / "no" / "plan.json", usual(), linked(SHIPPED), linked(SHIPPED))
