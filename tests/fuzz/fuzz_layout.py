"""Coverage-guided fuzzing of the layout with atheris, by hand: `python tests/fuzz/fuzz_layout.py`.

Needs the `fuzz` extra (`pip install 'ringfence[fuzz]'`). Arguments go to libFuzzer, such as a corpus
directory or `-max_total_time=600`. A finding is any exception but `PolicyError` (a text that is refused, or
one that stays as it is), a hang, or memory beyond libFuzzer's bound.
"""

import sys

try:
    import atheris
except ImportError:
    sys.exit("fuzz_layout needs atheris; install it with: pip install 'ringfence[fuzz]'")

with atheris.instrument_imports(include=["ringfence", "yaml"]):
    from ringfence.errors import PolicyError
    from ringfence.language.source import load
    from ringfence.review.layout import format_document


def fuzz_one(content: bytes) -> None:
    """Lay a document out, and once more; the second time nothing may change."""
    try:
        made = format_document(load(content, "fuzz.yaml"))
    except PolicyError:
        return
    assert format_document(load(made, "fuzz.yaml")) == made


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
