"""Documents as careless hands write them: any indentation, brackets, quotes, comments and empty lines."""

import json
from typing import Any

from hypothesis import strategies as st

__all__ = ["untidy_documents"]

_WORDS = st.sampled_from(
    ["desk", "no", "yes", "null", "1.0", "00:00", "50_000 USD", "3%", "BTC/USD", "a: b", "x #y", "- z",
     "a, b", "[q]", "it's", 'say "so"', "", " lead", "trail ", "~", "true", "*a", "&b", "@c", "%d", "'", "\\n",
     "two\nlines", "two\nlines\n", "  deep\nshallow\n", "\nlate\n", "end\n\n", "#", "2026-01-05", "-", "?", ":",
     "long " * 30, "word " * 40 + "end", "tab\there", "é日本", ".nan x", "y", "{", "}", "a:", "|", ">", "=", "<<"]
)  # fmt: skip
_KEYS = st.sampled_from(
    ["name", "kind", "metadata", "spec", "apiVersion", "gates", "rule", "limits", "scope", "a", "b b", "no", "12",
     "x:y", "it's", "#k", "level", "owner", "cases", "- l", "BTC/USD|ETH/USD", ""]
)  # fmt: skip
_PLAIN = st.sampled_from(
    ["desk", "5", "3%", "50_000 USDT", "1e3", "true", "null", "~", "a-b", "2026-01-05", "x#y"]
)
_COMMENTS = st.sampled_from(
    ["# c", "#", "#!", "# - a: b", "# 'q", "# {", "#x  ", "# é", '# "', "# |"]
)
_TREES = st.recursive(
    st.none() | _WORDS,
    lambda each: st.lists(each, max_size=4) | st.dictionaries(_KEYS, each, max_size=4),
    max_leaves=12,
)
_ROOTS = st.dictionaries(_KEYS, _TREES, min_size=1, max_size=5)


@st.composite
def untidy_documents(draw: Any) -> tuple[str, list[str]]:
    """A strict document and the comments in it: each call is another way to write another tree."""
    writer = _Writer(draw)
    lines = writer.block(draw(_ROOTS), 0)
    end = draw(st.sampled_from(["\n", "\n", "\r\n", "\r"]))
    last = draw(st.sampled_from(["", "# last"]))
    head = draw(st.sampled_from(["", "# head"]))
    text = end.join([*([head, ""] if head else []), *lines, *([last] if last else [])])
    return text + end * draw(st.integers(0, 3)), [*writer.comments, *filter(None, [head, last])]


class _Writer:
    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self._after_text = False
        self.comments: list[str] = []

    def _comment(self) -> str:
        text: str = self._draw(_COMMENTS)
        self.comments.append(text.rstrip())
        return text

    def _chance(self, of: int) -> bool:
        return bool(self._draw(st.integers(0, of)) == 0)

    def _between(self, indent: int) -> list[str]:
        lines = []
        if self._chance(5):
            lines += [""] * self._draw(st.integers(1, 3))
        if self._chance(4):
            # Below a block of text, what stands as far in as it does is text.
            columns = (
                [indent, 0] if self._after_text else [indent, indent, 0, indent + 2, indent + 5]
            )
            column = self._draw(st.sampled_from(columns))
            lines.append(" " * column + self._comment())
        if self._chance(8):
            lines.append("  ")
        return lines

    def _behind(self, *, after_value: bool = False) -> str:
        # Behind a key or dash a tab would stand where indentation is.
        spaces = [" ", "  ", "    ", *(["\t", " \t "] if after_value else [])]
        return self._draw(st.sampled_from(spaces)) + self._comment() if self._chance(6) else ""

    def block(self, value: Any, indent: int) -> list[str]:
        lines = []
        for key in value if isinstance(value, dict) else range(len(value)):
            lines += self._between(indent)
            if isinstance(value, dict):
                head = " " * indent + self._scalar_key(key) + ":"
            else:
                head = " " * indent + "-"
            lines += self._entry(head, value[key], indent, isinstance(value, list))
        return lines + self._between(indent)

    def _entry(self, head: str, value: Any, indent: int, in_list: bool) -> list[str]:
        self._after_text = False
        if isinstance(value, dict | list) and value and not self._chance(2):
            deeper = indent + self._draw(st.integers(1, 5))
            if in_list and not self._chance(3):
                inner = self.block(value, indent + 2)
                above = []
                while not inner[0].strip() or inner[0].lstrip().startswith("#"):
                    above.append(inner.pop(0))
                return [*above, f"{head} {inner[0][indent + 2:]}", *inner[1:]]
            if isinstance(value, list) and not in_list and self._chance(2):
                deeper = indent
            return [head + self._behind(), *self.block(value, deeper)]
        if isinstance(value, dict | list):
            return self._flow_lines(head, value, indent)
        return self._scalar_lines(head, value, indent)

    def _flow_lines(self, head: str, value: Any, indent: int) -> list[str]:
        if self._chance(1):
            return [f"{head} {self._flow(value)}{self._behind(after_value=True)}"]
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        pad = " " * (indent + 3)
        lines = [f"{head} {opening}{self._behind()}"]
        for key in value if isinstance(value, dict) else range(len(value)):
            lines += self._between(indent + 3)
            named = f"{self._quoted(key)}: " if isinstance(value, dict) else ""
            lines.append(f"{pad}{named}{self._flow(value[key])},{self._behind()}")
        return [*lines, *self._between(indent + 3), f"{pad}{closing}{self._behind()}"]

    def _flow(self, value: Any) -> str:
        space = " " * self._draw(st.integers(0, 2))
        if isinstance(value, dict):
            parts = [f"{self._quoted(key)}: {self._flow(each)}" for key, each in value.items()]
            return f"{{{space}{', '.join(parts)}{space}}}"
        if isinstance(value, list):
            return f"[{space}{(', ' + space).join(self._flow(each) for each in value)}]"
        return "null" if value is None else self._quoted(value)

    def _scalar_lines(self, head: str, value: str | None, indent: int) -> list[str]:
        if value is None:
            return [f"{head} {self._draw(_PLAIN)}{self._behind(after_value=True)}"]
        way = self._draw(st.sampled_from(["quoted", "quoted", "block", "below", "wrapped"]))
        if way == "below":
            between = self._between(indent + 1)
            return [head + self._behind(), *between, " " * (indent + 4) + self._quoted(value)]
        if way == "wrapped" and " " in value.strip() and value == " ".join(value.split()):
            first, rest = value.split(" ", 1)
            return [
                f'{head} "{_escaped(first)}',
                " " * (indent + 1) + f'{_escaped(rest)}"{self._behind()}',
            ]
        if way == "block" and "\t" not in value and value.strip() and value.strip(" ") == value:
            sign = self._draw(st.sampled_from(["|", ">"]))
            chomp = "+" if value.endswith("\n\n") else "" if value.endswith("\n") else "-"
            figure = "3" if value.lstrip("\n").startswith(" ") else ""
            body = value[:-1] if value.endswith("\n") else value
            pad = " " * (indent + 3)
            lines = [pad + each if each else "" for each in body.split("\n")]
            self._after_text = True
            return [f"{head} {sign}{figure}{chomp}{self._behind()}", *lines]
        return [f"{head} {self._quoted(value)}{self._behind(after_value=True)}"]

    def _scalar_key(self, key: str) -> str:
        return (
            key
            if key.isalpha() and key not in ("no",) and not self._chance(3)
            else self._quoted(key)
        )

    def _quoted(self, value: str) -> str:
        if value.isprintable() and self._chance(1):
            return "'" + value.replace("'", "''") + "'"
        return f'"{_escaped(value)}"'


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]
