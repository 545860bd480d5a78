"""An expression tree as the text of compiled code."""

from collections.abc import Callable

from ringfence.language import ir

__all__ = ["expression_text"]

NameText = Callable[[str], str]

_COMPARE = {
    "<=": "less_equal({0}, {1})",
    ">=": "less_equal({1}, {0})",
    "<": "less({0}, {1})",
    ">": "less({1}, {0})",
    "==": "equal({0}, {1})",
    "!=": "not_(equal({0}, {1}))",
}


def expression_text(node: ir.Node, field: NameText, param: NameText) -> str:
    """The text of `node`.

    Args:
        node: A typed tree.
        field: Gives the text that reads an input field.
        param: Gives the text that reads a parameter.
    """

    def text(part: ir.Node) -> str:
        return expression_text(part, field, param)

    match node:
        case ir.Literal(value=value):
            return repr(float(value))
        case ir.Choice(name=name, of=of):
            return repr(float(of.choices.index(name)))
        case ir.Field(name=name):
            return field(name)
        case ir.Param(name=name):
            return param(name)
        case ir.Negate(value=part):
            return f"(-{text(part)})"
        case ir.Absolute(value=part):
            return f"abs({text(part)})"
        case ir.Not(value=part):
            return f"not_({text(part)})"
        case ir.Arithmetic(op="/", left=left, right=right):
            return f"divide({text(left)}, {text(right)})"
        case ir.Arithmetic(op=op, left=left, right=right):
            return f"({text(left)} {op} {text(right)})"
        case ir.Extreme(op=op, values=values):
            return _folded("lower" if op == "min" else "larger", [text(part) for part in values])
        case ir.Compare(op=op, left=left, right=right):
            return _COMPARE[op].format(text(left), text(right))
        case ir.Logic(op=op, values=values):
            return _nested(f"{op}_", [text(part) for part in values])
        case ir.Conditional(test=test, then=then, otherwise=other):
            return f"if_({text(test)}, {text(then)}, {text(other)})"
    raise TypeError(type(node).__name__)


def _folded(call: str, parts: list[str]) -> str:
    found = parts[0]
    for part in parts[1:]:
        found = f"{call}({found}, {part})"
    return found


def _nested(call: str, parts: list[str]) -> str:
    """From the right, so that an unknown or settling operand on the left decides."""
    found = parts[-1]
    for part in reversed(parts[:-1]):
        found = f"{call}({part}, {found})"
    return found
