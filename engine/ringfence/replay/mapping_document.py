"""A mapping file as data with places: strict YAML, held to `schemas/mapping.v1.schema.json`."""

import json
from pathlib import Path

from jsonschema import Draft202012Validator

from ringfence._resources import bundled
from ringfence.errors import Diagnostic, InputError, PolicyError
from ringfence.language.schema import kind_of
from ringfence.language.schema_findings import ErrorReader
from ringfence.language.source import Document, load_file

__all__ = ["read_mapping_document"]


def read_mapping_document(path: Path, shown: str | None = None) -> Document:
    """Return a mapping's document, its shape checked; `shown` is what findings call the file.

    Raises:
        InputError: the file cannot be read, or is a document of another kind.
        PolicyError: it is not strict YAML, or not a mapping; holds all findings.
    """
    document = load_file(path, shown)
    kind, _ = kind_of(document)
    if kind is not None:
        raise InputError(
            f"`{document.path}` is no mapping but a {kind}", fix="name a file with `kind: Mapping`"
        )
    if document.has_nonfinite:
        raise PolicyError(
            [
                Diagnostic(
                    "E159",
                    "a number that is not finite",
                    document.span("spec"),
                    why="a mapping has the shape of schemas/mapping.v1.schema.json",
                    fix="remove it",
                )
            ]
        )
    text = (bundled("schemas") / "mapping.v1.schema.json").read_text(encoding="utf-8")
    schema = json.loads(text)
    reader = ErrorReader(document, schema)
    errors = Draft202012Validator(schema).iter_errors(document.data)
    if faults := [fault for error in errors for fault in reader.read(error)]:
        raise PolicyError(faults)
    return document
