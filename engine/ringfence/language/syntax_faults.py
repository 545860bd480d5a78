"""What libyaml says about broken YAML, in words that tell the author what to mend."""

from ringfence.language.scalars import Fault

__all__ = ["MAX_DEPTH", "TOO_DEEP", "explain"]

_INDENT = "line the keys of one mapping up in the same column"
_QUOTE = "put quotes around text that holds a special character"
_WHY_INDENT = "in YAML the indentation alone says what belongs to what"

MAX_DEPTH = 64
TOO_DEEP = Fault(
    "E109",
    f"nested deeper than {MAX_DEPTH} levels",
    "no policy needs it, and readers can be brought down by it",
    "flatten the document",
)

# (part of libyaml's problem, message, why, fix); the first that matches counts.
_KNOWN: tuple[tuple[str, str, str, str], ...] = (
    (
        "mapping values are not allowed",
        "a `:` where no key can be",
        "a colon followed by a space makes a key, also in the middle of a text",
        "quote the text that holds `: `, or check the indentation",
    ),
    (
        "could not find expected ':'",
        "a key without its `:`",
        "every line of a mapping is `key: value`, with a space after the colon",
        "write `key: value`, or check the indentation",
    ),
    (
        "did not find expected ',' or ']'",
        "the list is not closed",
        "items in `[...]` are separated by commas and end with `]`",
        "add the missing `,` or `]`",
    ),
    (
        "did not find expected ',' or '}'",
        "the mapping is not closed",
        "entries in `{...}` are separated by commas and end with `}`",
        "add the missing `,` or `}`",
    ),
    (
        "did not find expected '-' indicator",
        "expected a list item that starts with `- `",
        _WHY_INDENT,
        "line the items of one list up in the same column",
    ),
    ("did not find expected key", "expected a key here", _WHY_INDENT, _INDENT),
    (
        "block sequence entries are not allowed",
        "a list item where none can be",
        "a list under a key starts on a line of its own",
        "move `- ` to the next line, or quote the text",
    ),
    (
        "found unexpected end of stream",
        "a quoted text that is not closed",
        "the text runs from this quote to the end of the file",
        "add the closing quote",
    ),
    (
        "found unexpected document indicator",
        "a quoted text that is not closed",
        "the text runs from this quote to the next `---` or `...`",
        "add the closing quote",
    ),
    (
        "unknown escape character",
        "an escape that YAML does not know",
        'in "double quotes" a backslash starts an escape such as `\\n`',
        "use 'single quotes', or write the backslash twice",
    ),
    (
        "invalid Unicode character escape code",
        "an escape that is not a character",
        "surrogates and codes beyond U+10FFFF are not characters",
        "write the character itself",
    ),
    (
        "found duplicate %YAML directive",
        "the %YAML directive is written twice",
        "one document has one version",
        "remove one of them",
    ),
    (
        "found incompatible YAML document",
        "an unknown YAML version",
        "YAML 1.1 and 1.2 can be read",
        "remove the `%YAML` line",
    ),
    (
        "found character that cannot start any token",
        "a character that no unquoted text can start with",
        "`@`, `` ` `` and `%` are reserved in YAML",
        _QUOTE,
    ),
    (
        "did not find expected alphabetic or numeric character",
        "`*` and `&` start an alias and an anchor, and need a name",
        "an unquoted `*` is no glob in YAML",
        'quote a glob: "*"',
    ),
    (
        "did not find expected node content",
        "expected a value here",
        "after this character YAML wants a text, a list or a mapping",
        _QUOTE,
    ),
    (
        "did not find expected <document start>",
        "text after the end of the document",
        "a document holds one mapping; what is less indented than its start ends it",
        _INDENT,
    ),
)


def explain(problem: str, at_tab: bool) -> Fault:
    """Return the fault for a problem that libyaml reports; `at_tab`: it stopped at a tab.

    libyaml has a bound on depth of its own; reading ahead, it can meet that one first.
    """
    if at_tab or "tab character" in problem:
        return Fault(
            "E105",
            "a tab in the indentation",
            "YAML indents with spaces alone: how wide a tab is differs between editors",
            "replace the tab by spaces",
        )
    if "exceeded maximum" in problem:
        return TOO_DEEP
    for part, message, why, fix in _KNOWN:
        if part in problem:
            return Fault("E102", message, why, fix)
    return Fault("E102", problem.strip() or "not YAML", "the text is not valid YAML", _QUOTE)
