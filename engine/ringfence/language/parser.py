"""Expressions from text: Python's grammar through `ast`, a short list of nodes, nothing else.

The text is parsed, never evaluated. Whatever is not on the list (attribute access beyond the declared
fields, calls beyond min, max and abs, powers, comprehensions, strings that name no choice) is an error
that says where it stands.
"""

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from ringfence.errors import Diagnostic, Span
from ringfence.language import ir
from ringfence.language.fields import FIELDS
from ringfence.language.suggest import suggestion
from ringfence.language.units import BOOLEAN, NUMBER, Unit, UnitMismatchError

__all__ = ["MAX_LENGTH", "parse_expression"]

MAX_LENGTH = 2_000
MAX_DEPTH = 60

_ARITHMETIC = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/"}
_FOREIGN_SIGNS = {
    ast.Pow: "**",
    ast.Mod: "%",
    ast.FloorDiv: "//",
    ast.MatMult: "@",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.BitAnd: "&",
}
_COMPARE = {
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_ALLOWED = (
    "allowed are numbers, + - * /, comparisons, and/or/not, `a if b else c`, min, max, abs, "
    "`params.NAME` and the input fields that `ringfence fields` lists"
)


_WHY = {
    "E201": "an expression follows Python's grammar",
    "E202": "a rule computes a number from declared inputs; it runs no code",
    "E204": "an expression reads declared parameters and input fields only",
    "E206": "expressions are bounded, so that none can slow down a decision",
    "E207": "a gate computes this field with its own parameters",
}


class _RefusedError(Exception):
    """A finding at one node; collected, so that one bad part does not hide the next."""

    def __init__(self, code: str, node: ast.AST | None, message: str, fix: str = "", why: str = ""):
        self.code, self.node, self.message, self.fix, self.why = code, node, message, fix, why
        super().__init__(message)


@dataclass(slots=True)
class _Reader:
    params: Mapping[str, Unit]
    place: Callable[[ast.AST | None], Span | None]
    findings: list[Diagnostic] = field(default_factory=list)

    def report(self, refused: _RefusedError) -> None:
        self.findings.append(
            Diagnostic(
                refused.code,
                refused.message,
                self.place(refused.node),
                why=refused.why or _WHY.get(refused.code, ""),
                fix=refused.fix,
            )
        )

    def child(self, node: ast.AST) -> ir.Node | None:
        """Read one part; a finding is kept and gives None, so that its siblings are still read."""
        try:
            return self.read(node)
        except _RefusedError as refused:
            self.report(refused)
            return None

    def children(self, *nodes: ast.AST) -> list[ir.Node]:
        read = [self.child(node) for node in nodes]
        if any(node is None for node in read):
            raise _StopError
        return [node for node in read if node is not None]

    def read(self, node: ast.AST) -> ir.Node:
        span = self.place(node)
        try:
            match node:
                case ast.Constant():
                    return self._constant(node, span)
                case ast.Attribute() | ast.Name():
                    return self._name(node, span)
                case ast.UnaryOp():
                    return self._unary(node, span)
                case ast.BinOp() if type(node.op) in _ARITHMETIC:
                    left, right = self.children(node.left, node.right)
                    return ir.Arithmetic(_ARITHMETIC[type(node.op)], left, right, span=span)
                case ast.BoolOp():
                    op = "and" if isinstance(node.op, ast.And) else "or"
                    return ir.Logic(op, tuple(self.children(*node.values)), span=span)
                case ast.Compare():
                    return self._compare(node, span)
                case ast.IfExp():
                    test, then, other = self.children(node.test, node.body, node.orelse)
                    return ir.Conditional(test, then, other, span=span)
                case ast.Call():
                    return self._call(node, span)
        except UnitMismatchError as mismatch:
            raise _RefusedError(
                "E203",
                node,
                str(mismatch),
                "bring both sides to one unit (a size times a price is money; money over money is "
                "a ratio)",
                "values of different units have no common scale",
            ) from None
        raise _RefusedError(
            "E202", node, f"{_describe(node)} is not part of the language", _ALLOWED
        )

    def _constant(self, node: ast.Constant, span: Span | None) -> ir.Node:
        value = node.value
        if isinstance(value, bool):
            return ir.Literal(float(value), BOOLEAN, span=span)
        if isinstance(value, int | float):
            try:
                number = float(value)
            except OverflowError:
                number = float("inf")
            if number in (float("inf"), float("-inf")):
                raise _RefusedError(
                    "E206", node, "the number is too large", "use a number below 1e308"
                )
            return ir.Literal(number, NUMBER, span=span)
        raise _RefusedError(
            "E202", node, f"{_describe(node)} is not part of the language", _ALLOWED
        )

    def _name(self, node: ast.AST, span: Span | None) -> ir.Node:
        name = _dotted(node)
        if name is None:
            raise _RefusedError(
                "E202", node, "attribute access is not part of the language", _ALLOWED
            )
        if name in FIELDS:
            missing = [used for used in FIELDS[name].uses if used not in self.params]
            if missing:
                raise _RefusedError(
                    "E207",
                    node,
                    f"`{name}` is computed with the parameter `{missing[0]}`, which the rule does "
                    "not declare",
                    f"declare `{missing[0]}` under `parameters`",
                )
            return ir.Field(name, span=span)
        if name.startswith("params.") and name[7:] in self.params:
            return ir.Param(name[7:], self.params[name[7:]], span=span)
        known = [*FIELDS, *(f"params.{param}" for param in self.params)]
        raise _RefusedError(
            "E204",
            node,
            f"unknown name `{name}`",
            suggestion(name, known) or "`ringfence fields` lists the names there are",
        )

    def _unary(self, node: ast.UnaryOp, span: Span | None) -> ir.Node:
        if isinstance(node.op, ast.Invert):
            raise _RefusedError("E202", node, "`~` is not part of the language", _ALLOWED)
        (value,) = self.children(node.operand)
        if isinstance(node.op, ast.Not):
            return ir.Not(value, span=span)
        if isinstance(node.op, ast.USub):
            if isinstance(value, ir.Literal) and value.unit.numeric:
                return ir.Literal(-value.value, value.unit, span=span)
            return ir.Negate(value, span=span)
        if not value.unit.numeric:
            raise UnitMismatchError(f"cannot use + on {value.unit}")
        return value

    def _compare(self, node: ast.Compare, span: Span | None) -> ir.Node:
        parts = [node.left, *node.comparators]
        for op in node.ops:
            if type(op) not in _COMPARE:
                raise _RefusedError(
                    "E202", node, "`in` and `is` are not part of the language", _ALLOWED
                )
        steps: list[ir.Node] = []
        for left_node, op, right_node in zip(parts, node.ops, parts[1:], strict=False):
            left, right = self._pair(left_node, right_node)
            _refuse_percent_like(left, right, right_node)
            _refuse_percent_like(right, left, left_node)
            steps.append(ir.Compare(_COMPARE[type(op)], left, right, span=span))
        return steps[0] if len(steps) == 1 else ir.Logic("and", tuple(steps), span=span)

    def _pair(self, left: ast.AST, right: ast.AST) -> tuple[ir.Node, ir.Node]:
        """Two sides of a comparison; a string stands only beside a choice, and must be one of it."""
        if _string(right) is not None and _string(left) is None:
            (known,) = self.children(left)
            return known, self._choice(right, known.unit)
        if _string(left) is not None and _string(right) is None:
            (known,) = self.children(right)
            return self._choice(left, known.unit), known
        first, second = self.children(left, right)
        return first, second

    def _choice(self, node: ast.AST, unit: Unit) -> ir.Node:
        text = _string(node) or ""
        if unit.kind != "choice":
            raise _RefusedError(
                "E203",
                node,
                f"cannot compare {unit} with the text `{text}`",
                "compare text only with a choice",
                "text has no unit",
            )
        if text not in unit.choices:
            raise _RefusedError(
                "E204",
                node,
                f"`{text}` is not {unit}",
                suggestion(text, unit.choices) or f"use {unit}",
            )
        return ir.Choice(text, unit, span=self.place(node))

    def _call(self, node: ast.Call, span: Span | None) -> ir.Node:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if name not in ("min", "max", "abs") or node.keywords:
            raise _RefusedError(
                "E202", node, f"{_describe(node)} is not part of the language", _ALLOWED
            )
        if any(isinstance(value, ast.Starred) for value in node.args):
            raise _RefusedError("E202", node, "`*` in a call is not part of the language", _ALLOWED)
        wanted = "one value" if name == "abs" else "two values or more"
        if len(node.args) != 1 if name == "abs" else len(node.args) < 2:
            raise _RefusedError("E201", node, f"`{name}` takes {wanted}", f"give it {wanted}")
        values = self.children(*node.args)
        if name == "abs":
            return ir.Absolute(values[0], span=span)
        return ir.Extreme(name, tuple(values), span=span)


class _StopError(_RefusedError):
    """Raised where a part was refused already and reported; carries nothing new."""

    def __init__(self) -> None:
        super().__init__("", None, "")


def parse_expression(
    text: str,
    params: Mapping[str, Unit],
    *,
    span: Span | None = None,
) -> tuple[ir.Node | None, list[Diagnostic]]:
    """Parse and type one expression.

    Args:
        text: The expression.
        params: Unit of each parameter that the rule declares.
        span: Where the text stands in its file; findings point into it when it is one line.

    Returns:
        The tree and no findings, or None and all findings (`E201` to `E207`).
    """

    def place(node: ast.AST | None) -> Span | None:
        return _place(node, span, text)

    unread = _unreadable(text, span)
    if unread is not None:
        return None, [unread]
    try:
        tree = ast.parse(text.strip(), mode="eval")
        if _depth(tree) > MAX_DEPTH:
            raise _TooDeepError
    except SyntaxError as error:
        return None, [
            Diagnostic(
                "E201",
                f"not an expression: {error.msg}",
                _syntax_place(error, span),
                why=_WHY["E201"],
                fix=_ALLOWED,
            )
        ]
    except (RecursionError, MemoryError, _TooDeepError):
        return None, [
            Diagnostic(
                "E206",
                "the expression is nested too deeply",
                span,
                why=_WHY["E206"],
                fix="split it into several checks",
            )
        ]
    except ValueError as error:  # null bytes, numbers past the interpreter's digit limit
        return None, [
            Diagnostic("E201", f"not an expression: {error}", span, why=_WHY["E201"], fix=_ALLOWED)
        ]
    reader = _Reader(params, place)
    node = reader.child(tree.body)
    findings = [finding for finding in reader.findings if finding.code]
    return (None, findings) if findings else (node, [])


def _unreadable(text: str, span: Span | None) -> Diagnostic | None:
    """A finding where the text is too long, or holds what a reader would not see as it is."""
    if len(text) > MAX_LENGTH:
        return Diagnostic(
            "E206",
            f"the expression is {len(text):,} characters long",
            span,
            why=_WHY["E206"],
            fix=f"keep it below {MAX_LENGTH:,} characters; split it into several checks",
        )
    strange = next((each for each in text if each == "#" or not each.isascii()), None)
    if strange is None:
        return None
    shown = "`#`" if strange == "#" else f"the character U+{ord(strange):04X}"
    return Diagnostic(
        "E201",
        f"not an expression: {shown} is no part of one",
        span,
        why="what is commented out, or looks like another letter, misleads whoever reads it",
        fix="write it in plain letters, and comments as comments of the YAML, on lines of their own",
    )


class _TooDeepError(Exception):
    pass


def _depth(tree: ast.AST) -> int:
    """Depth of the tree, found without recursion."""
    deepest, level = 0, [tree]
    while level and deepest <= MAX_DEPTH * 2:
        deepest += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def _refuse_percent_like(ratio: ir.Node, number: ir.Node, node: ast.AST) -> None:
    """A ratio against a bare 3: 3 % was meant, or three hundred."""
    if ratio.unit.kind == "ratio" and isinstance(number, ir.Literal) and abs(number.value) > 1:
        raise _RefusedError(
            "E205",
            node,
            f"a ratio is compared with {number.value:g}",
            f"write {number.value / 100:g} for {number.value:g} %",
            "a ratio of 1 is 100 %",
        )


def _dotted(node: ast.AST) -> str | None:
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name):
        return None
    return ".".join([node.id, *reversed(parts)])


def _string(node: ast.AST) -> str | None:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return None


def _describe(node: ast.AST) -> str:
    if isinstance(node, ast.Call):
        name = _dotted(node.func)
        return f"a call of `{name}`" if name else "a call"
    if isinstance(node, ast.BinOp):
        return f"`{_FOREIGN_SIGNS[type(node.op)]}`"
    if isinstance(node, ast.Constant):
        return f"the {'text' if isinstance(node.value, str) else 'value'} {str(node.value)[:40]!r}"
    names = {
        "Lambda": "a lambda",
        "ListComp": "a comprehension",
        "GeneratorExp": "a comprehension",
        "SetComp": "a comprehension",
        "DictComp": "a comprehension",
        "Subscript": "indexing with [ ]",
        "NamedExpr": "`:=`",
        "JoinedStr": "an f-string",
        "Await": "await",
        "Starred": "`*`",
    }
    kind = type(node).__name__
    return names.get(kind, f"a {kind.lower()}")


def _place(node: ast.AST | None, span: Span | None, text: str) -> Span | None:
    """The node's own place where the expression stands on one line, else the whole text's."""
    column = getattr(node, "col_offset", None)
    if span is None or node is None or column is None or span.line != span.end_line:
        return span
    inner = text.strip()
    shift = span.column + max(0, (span.end_column - span.column - len(inner)) // 2)
    end = getattr(node, "end_col_offset", column + 1)
    return Span(span.path, span.line, shift + column, span.line, shift + end)


def _syntax_place(error: SyntaxError, span: Span | None) -> Span | None:
    if span is None or span.line != span.end_line or not error.offset:
        return span
    column = min(span.column + error.offset - 1, span.end_column)
    return Span(span.path, span.line, column, span.line, max(column + 1, span.end_column))
