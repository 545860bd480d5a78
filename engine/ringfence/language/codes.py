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
    # E200-E299: names, types, units and values
    "E201": "not an expression",
    "E202": "not part of the expression language",
    "E203": "units that do not go together",
    "E204": "unknown name",
    "E205": "ratio compared with a number like a percent",
    "E206": "expression too long, too deep or too large",
    "E207": "field whose parameter is not declared, or cannot be used",
    "E208": "measure that cannot reduce",
    "E210": "unknown parameter",
    "E211": "parameter value that does not fit",
    "E212": "choice without a list",
    "E213": "currencies without an FX rate",
    "E214": "unknown rule",
    "E215": "unknown rule version",
    "E216": "unknown time zone",
    "E217": "window of an override",
    "E218": "instrument, rate or correlation",
    "E219": "state of a case that cannot be",
    # E300-E399: the policy set as a whole
    "E301": "mandatory gate missing",
    "E302": "two policies of one name",
    "E303": "two starts of the trading day",
    "E304": "two gates of one name",
    "E305": "test without a policy",
    "E306": "policies in two currencies",
    # E560-E589: plans, and who must approve them
    "E560": "approvals of a group that is not declared",
    "E561": "more approvals than a group has people",
    "E562": "person named twice in one group",
    "E563": "group that bears a reserved name",
    "E564": "looser change that would need nobody",
}
