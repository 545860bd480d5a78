"""Every error code of the language, with its title; each has a folder in `tests/cases/errors/`."""

__all__ = ["CODES", "MAX_FINDINGS"]

MAX_FINDINGS = 100
"""Findings of one file that are shown; a hostile file must not turn into a million messages."""

CODES: dict[str, str] = {
    # E100-E149: the text and its YAML
    "E100": "not UTF-8",
    "E101": "file too large",
    "E102": "YAML syntax",
    "E103": "empty file",
    "E104": "control character",
    "E105": "tab in the indentation",
    "E106": "more than one document",
    "E107": "implicit boolean",
    "E108": "duplicate key",
    "E109": "nested too deeply",
    "E110": "aliases expand too far",
    "E111": "anchor or alias that cannot be resolved",
    "E112": "merge key",
    "E113": "tag",
    "E114": "key that is not text",
    "E115": "number that readers disagree about",
    "E116": "number too large",
    "E117": "too many problems in one file",
    "E118": "too many values",
    # E150-E199: the shape of a document, by its JSON Schema
    "E150": "not a document of the expected kind",
    "E151": "unknown key",
    "E152": "missing key",
    "E153": "wrong type",
    "E154": "not one of the allowed values",
    "E155": "malformed value",
    "E156": "out of range",
    "E158": "unsupported version of the language",
    "E159": "number that is not finite",
}
