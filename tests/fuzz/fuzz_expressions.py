"""Coverage-guided fuzzing of expressions with atheris, by hand: `python tests/fuzz/fuzz_expressions.py`.

Needs the `fuzz` extra (`pip install 'ringfence[fuzz]'`). Arguments go to libFuzzer, such as a corpus
directory or `-max_total_time=600`. Whatever parses is typed, written in its canonical form, read again,
and evaluated. A finding is any exception, another tree for the canonical form, a value that is no number,
or a hang; the input that caused it is written to the working directory.
"""

import math
import sys

try:
    import atheris
except ImportError:
    sys.exit("fuzz_expressions needs atheris; install it with: pip install 'ringfence[fuzz]'")

with atheris.instrument_imports(include=["ringfence"]):
    from ringfence.backends.reference.interpreter import evaluate
    from ringfence.language.canonical import expression_text
    from ringfence.language.fields import FIELDS
    from ringfence.language.parser import parse_expression
    from ringfence.language.slopes import slope
    from ringfence.language.units import COUNT, DURATION, MONEY, RATIO, choice

PARAMS = {
    "max": MONEY,
    "share": RATIO,
    "n": COUNT,
    "window": DURATION,
    "working": choice("worst-case", "gross"),
}
NUMBERS = (0.0, 1.0, -1.0, 0.5, 3.0, 1e300, 5e-324, math.nan, math.inf, -math.inf)
PIECES = (
    *FIELDS,
    *(f"params.{name}" for name in PARAMS),
    *("+", "-", "*", "/", "**", "//", "%", "(", ")", "<", "<=", "==", "!=", ">", ">=", ","),
    *("if", "else", "and", "or", "not", "min(", "max(", "abs(", "lambda:", "[", "]", "{", "}", ":="),
    *("1", "0", "0.5", "1e308", "1e-320", "'gross'", "'limit'", "True", "None", "\0", "\n", "#", "\\"),
    *("().__class__", "__import__('os')", "9**9**9", ".__", "f'{", "'", '"""', "é", "\ud800"),
)  # fmt: skip


def text_of(data: "atheris.FuzzedDataProvider") -> str:
    """Any text, or one of words that belong to the language and words that must not."""
    if data.ConsumeBool():
        return str(data.ConsumeUnicode(3000))
    count = data.ConsumeIntInRange(1, 40)
    return " ".join(PIECES[data.ConsumeIntInRange(0, len(PIECES) - 1)] for _ in range(count))


def fuzz_one(content: bytes) -> None:
    """Parse; where that gives a tree, everything that is done with a tree."""
    data = atheris.FuzzedDataProvider(content)
    numbers = [NUMBERS[data.ConsumeIntInRange(0, len(NUMBERS) - 1)] for _ in range(4)]
    node, findings = parse_expression(text_of(data), PARAMS)
    assert (node is None) == bool(findings)
    if node is None:
        return
    again, _ = parse_expression(expression_text(node), PARAMS)
    assert again == node
    slope(node)
    params = {name: numbers[len(name) % 4] for name in PARAMS}
    assert isinstance(evaluate(node, lambda name: numbers[len(name) % 4], params), float)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
