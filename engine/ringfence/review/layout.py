"""`ringfence fmt` for one text: the canonical layout, and the check that nothing else has changed.

The printer is not trusted. A text that it lays out anew is loaded strictly and must mean the same, value by
value; every comment must still be there, as another parser counts them; and laid out once more it must
not change. Else the text stays as it is, and a finding says so.
"""

import math
import re
from collections import Counter
from typing import Any

from ringfence.errors import Diagnostic, PolicyError
from ringfence.language.source import Document, load
from ringfence.language.yaml_findings import LINE_BREAK
from ringfence.review.layout_order import put_keys_in_order
from ringfence.review.layout_print import print_layout
from ringfence.review.layout_tree import read_layout

__all__ = ["comments_in", "format_document"]

_COMMENT = re.compile(r"#[^\r\n]*")


def format_document(document: Document) -> str:
    """Return the text of a document in the canonical layout.

    Args:
        document: As loaded.

    Raises:
        PolicyError: laid out, it would not be the same document (E450); it has to stay as it is.
    """
    text = LINE_BREAK.sub("\n", document.source.text)
    made = _laid_out(text)
    if made != text and (problem := _difference(document, text, made)):
        raise PolicyError([_not_formatted(document, problem)])
    return made


def _laid_out(text: str) -> str:
    layout = read_layout(text)
    put_keys_in_order(layout)
    return print_layout(layout)


def _difference(before: Document, text: str, made: str) -> str:
    """What a text that was laid out anew has lost; empty where it is the same document."""
    try:
        after = load(made, before.path)
    except PolicyError as error:
        return f"it could no longer be read ({error.diagnostics[0].message})"
    if not _equal(before.data, after.data):
        return "a value would change"
    if comments_in(text) != comments_in(made):
        return "a comment would be lost or changed"
    if _laid_out(made) != made:
        return "it would change again the next time"
    return ""


def _equal(one: Any, other: Any) -> bool:
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def comments_in(text: str) -> Counter[str]:
    """Return how often each comment stands in a document, by its text.

    Found with the parser that is written in Python, so that it does not share a mistake with the layout's; where
    that refuses what libyaml takes (a tab between a key and its value), with libyaml's tokens.

    Args:
        text: A document that can be read.
    """
    # Imported here: only a text that changes needs it.
    import yaml

    if "#" not in text:
        return Counter()
    text = LINE_BREAK.sub("\n", text)
    try:
        tokens = list(yaml.scan(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError:
        tokens = list(yaml.scan(text, Loader=yaml.CSafeLoader))
    kept, at = [], 0
    for token in tokens:
        start, end = token.start_mark.index, token.end_mark.index
        if not isinstance(token, yaml.ScalarToken):
            continue
        kept.append(text[at:start])
        if token.style in ("|", ">"):
            kept.append(text[start:end].split("\n", 1)[0])
        kept.append("\n" * (text.count("\n", start, end) > 0))
        at = max(at, end)
    kept.append(text[at:])
    return Counter(each.rstrip() for each in _COMMENT.findall("".join(kept)))


def _not_formatted(document: Document, problem: str) -> Diagnostic:
    return Diagnostic(
        "E450",
        f"the file cannot be laid out without changing it: {problem}",
        document.key_span(),
        why="`fmt` changes how a document looks, never what it says, and keeps every comment",
        fix="lay it out by hand, in a simpler way, and report it: this is a fault of Ringfence",
    )
