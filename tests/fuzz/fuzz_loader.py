"""Coverage-guided fuzzing of the loader with atheris, by hand: `python tests/fuzz/fuzz_loader.py`.

Needs the `fuzz` extra (`pip install 'ringfence[fuzz]'`). Arguments go to libFuzzer, such as a corpus
directory or `-max_total_time=600`. A finding is any exception but `PolicyError`, a hang, or memory
beyond libFuzzer's bound; the input that caused it is written to the working directory.
"""

import sys

try:
    import atheris
except ImportError:
    sys.exit("fuzz_loader needs atheris; install it with: pip install 'ringfence[fuzz]'")

with atheris.instrument_imports(include=["ringfence", "yaml"]):
    from ringfence.errors import PolicyError
    from ringfence.language.render import render_github, render_json, render_text
    from ringfence.language.schema import KINDS, check
    from ringfence.language.source import load


def fuzz_one(content: bytes) -> None:
    """Load, check against every kind, and render what was found."""
    try:
        document = load(content, "fuzz.yaml")
    except PolicyError as error:
        found = list(error.diagnostics)
    else:
        found = [each for kind in KINDS for each in check(document, kind)]
        document.span("spec", "gates", 0)
    lines = content.decode("utf-8", "replace").split("\n")
    render_text(found, lambda _, line: lines[line - 1] if line <= len(lines) else "")
    render_json(found)
    render_github(found)


if __name__ == "__main__":
    atheris.Setup(sys.argv, fuzz_one)
    atheris.Fuzz()
