"""Hostile text: the loader answers with a document or with findings, and with nothing else.

Bounded work is held by counts, not by a clock: the values that come out and the findings.
"""

import json
import random
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.codes import CODES, MAX_FINDINGS
from ringfence.language.render import render_github, render_json, render_text
from ringfence.language.schema import KINDS, check, kind_of
from ringfence.language.source import MAX_BYTES, Document, load

pytestmark = pytest.mark.security

VALID = """\
apiVersion: ringfence/v1
kind: Policy
metadata: {name: desk-limits, version: 1.0.0, owner: risk, description: "limits of the desk"}
spec:
  scope: &scope {accounts: [main, "hedge-*"], symbols: ['*']}
  gates:
    - rule: total-exposure@1
      limits: {max: 100_000 USD, max_of_equity: 95%, n: [1, 2.5, .5, true, null]}
      overrides:
        - limits: {max: 120_000 USD}
          scope: *scope
          until: 2026-01-06T12:00:00Z
          reason: |
            month end
            of the desk
"""
PIECES = (
    *"[]{}:,-?&*!|>'\"%@`#\n\t \\<=~.0",
    *("---\n", "...\n", "<<: ", "- ", "? ", "a: ", "&a ", "*a", "!!python/object:os ", "!%ff "),
    *("no", "010", "0x1", "1e999", ".nan", "-.inf", "12:30", "2026-01-01", '"\\x00"', '"\\ud800"'),
    *(
        "\ufeff",
        "\x00",
        "\x1b",
        "\u2028",
        "\ud800",
        "é",
        "𝄞",
        "\r\n",
        "%YAML 1.1\n---\n",
        "kind: Rule\n",
    ),
)
SOUP = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)


def survives(content: str | bytes) -> Document | None:
    """Load, check and render; return the document when it was read."""
    try:
        document = load(content, "p.yaml")
    except PolicyError as error:
        found = list(error.diagnostics)
        assert 0 < len(found) <= MAX_FINDINGS + 1
        document = None
    else:
        kind, found = kind_of(document)
        for each in [kind] if kind else KINDS:
            found = [*found, *check(document, each)]
        _every_value_has_a_place(document, document.data, ())
    text = content if isinstance(content, str) else content.decode("utf-8", "replace")
    lines = text.split("\n")
    rendered = render_text(found, lambda _, line: lines[line - 1] if line <= len(lines) else "")
    for output in (rendered, render_github(found)):
        assert not any(bad in output for bad in "\x00\x1b\ud800\u2028\u202e")
    for each in render_json(found):
        assert each["code"] in CODES
        assert each["line"] >= 1
        assert each["column"] >= 1
        assert (each["line"], each["column"]) <= (each["end_line"], each["end_column"])
    return document


def _every_value_has_a_place(document: Document, value: Any, path: tuple[Any, ...]) -> None:
    span = document.span(*path)
    assert 1 <= span.line <= span.end_line
    document.key_span(*path)
    assert value is None or isinstance(value, dict | list | str | int | float)
    if isinstance(value, dict):
        for key, each in value.items():
            assert isinstance(key, str)
            _every_value_has_a_place(document, each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            _every_value_has_a_place(document, each, (*path, index))
    else:
        document.text_of(*path)


@given(st.text())
def test_any_text_is_answered(text: str) -> None:
    survives(text)


@given(st.binary(max_size=300))
@example(b"\xff\xfea\x00")
@example(b"\xef\xbb\xbf\xff")
@example(b"a: !%ed%a0%80 b")
def test_any_bytes_are_answered(content: bytes) -> None:
    survives(content)


@given(SOUP)
@example("? ? ? a\n: b\n")
@example("a: &a\n  ? *a\n  : 1\n")
@example("&a a: *a\n")
def test_pieces_of_yaml_in_any_order_are_answered(text: str) -> None:
    survives(text)


@given(st.data())
def test_a_damaged_policy_is_answered(data: st.DataObject) -> None:
    text = VALID
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = min(len(text), start + data.draw(st.integers(0, 12)))
        text = text[:start] + data.draw(SOUP) + text[end:]

    survives(text)


@given(st.integers(0, len(VALID)))
def test_a_policy_that_breaks_off_is_answered(length: int) -> None:
    survives(VALID[:length])


@given(st.data())
def test_damaged_bytes_are_answered(data: st.DataObject) -> None:
    content = bytearray(VALID.encode())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))

    survives(bytes(content))


@given(SOUP | st.text())
def test_what_is_read_is_what_a_plain_reader_reads(text: str) -> None:
    # Where our loader accepts, PyYAML's own must see the same structure; only plain scalars may
    # differ, and those only as documented (dates and times stay text, `1e5` is a number).
    document = survives(text)
    if document is None:
        return

    assert _outline(document.data) == _outline(yaml.load(text, Loader=yaml.CBaseLoader))


def _outline(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _outline(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_outline(each) for each in value]
    return None


SAFE = st.characters(
    exclude_categories=["Cc", "Cs"], exclude_characters="\u2028\u2029\ufeff\ufffe\uffff"
)
PRINTED = st.text(
    SAFE.filter(lambda c: not ("\u202a" <= c <= "\u202e" or "\u2066" <= c <= "\u2069")), max_size=8
)
PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**15), 10**15)
    | st.floats(allow_nan=False, allow_infinity=False)
    | PRINTED,
    lambda inner: (
        st.lists(inner, min_size=1, max_size=4)
        | st.dictionaries(PRINTED, inner, min_size=1, max_size=4)
    ),
    max_leaves=20,
).filter(lambda value: value is not None)


@given(PLAIN, st.sampled_from([None, 0, 2]))
def test_json_comes_back_as_it_went_in(value: Any, indent: int | None) -> None:
    written = json.dumps(value, ensure_ascii=False, indent=indent)

    read = load(written, "p.yaml").data

    assert read == value
    assert json.dumps(read, ensure_ascii=False, indent=indent) == written


@pytest.mark.parametrize(
    "piece",
    [
        "[",
        "{",
        "- ",
        "? ",
        "a: ",
        "[a,",
        "{a: ",
        "&a ",
        "*a ",
        "!a ",
        '"',
        "'",
        "|\n",
        "#",
        "-\n",
        "a\n",
        "a: b\n",
        "\\",
        "%",
        ":",
        ",",
        "]",
        "--- \n",
        "\n",
        " ",
        "é",
    ],
)
def test_a_megabyte_of_one_thing_is_answered(piece: str) -> None:
    whole = piece * (MAX_BYTES // len(piece.encode()))

    assert len(_findings(whole)) <= MAX_FINDINGS + 1


def _findings(text: str) -> tuple[Diagnostic, ...]:
    try:
        load(text, "p.yaml")
    except PolicyError as error:
        return error.diagnostics
    return ()


def test_a_megabyte_of_noise_is_answered() -> None:
    noise = random.Random(1)
    for _ in range(5):
        text = "".join(noise.choice(PIECES) for _ in range(100_000))[: 1 << 18]
        with pytest.raises(PolicyError):
            load(text, "p.yaml")
