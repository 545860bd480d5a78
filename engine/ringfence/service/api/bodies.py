"""Bodies of requests: JSON read straight into its type, no digit lost, nothing guessed.

The framework would read a body without its type first, numbers as floats and so rounded, and turn text
into numbers where a number is wanted. Here text stays text, and of two keys of one name none is dropped.
"""

import json
import re
from collections.abc import Callable, Generator, Iterable
from typing import Any, ClassVar, TypeVar

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.dto import AbstractDTO
from litestar.dto.data_structures import DTOFieldDefinition
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from ringfence.service.access.reasons import REASON_PATTERN, SAID_OF_REASONS
from ringfence.service.api.problems import Fault, Problem

__all__ = ["ExactJson", "check_keys", "pointer_of", "read_json"]

T = TypeVar("T")
_PLACE = re.compile(r"(?P<words>.*?)(?: - at `(?P<at>.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+|\.\.\.)\]")
# A pattern as such tells nobody what to write.
_SAID = {f"Expected `str` matching regex {REASON_PATTERN!r}": f"expected {SAID_OF_REASONS}"}
_DECODERS: dict[str, msgspec.json.Decoder[Any]] = {}


class ExactJson(AbstractDTO[Any]):
    """Reads the body of a handler's `data` by its type."""

    media_types: ClassVar[tuple[str, ...]] = ("application/json",)

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Make the decoder of a handler, once."""
        del backend_cls
        _DECODERS[handler_id] = msgspec.json.Decoder(field_definition.annotation)

    def decode_bytes(self, value: bytes) -> Any:
        """Read a body.

        Raises:
            Problem: it is no JSON, not of the handler's type, or of another media type.
        """
        connection = self.asgi_connection
        media = connection.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in self.media_types:
            raise Problem(
                "unsupported-media-type",
                f"`{media[:80]}` is not taken here" if media else "the body has no `Content-Type`",
                fix=f"send `Content-Type: {self.media_types[0]}`",
            )
        # What an `Idempotency-Key` stands for is found by this.
        connection.scope["state"]["body"] = value
        decoder = _DECODERS[connection.route_handler.handler_id]
        return self.read(value, media, decoder)

    def read(self, value: bytes, media: str, decoder: msgspec.json.Decoder[Any]) -> Any:
        """What the handler gets.

        Args:
            value: The body.
            media: Its media type, one of `media_types`.
            decoder: Of the handler's type.
        """
        del media
        return read_json(value, decoder)

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """The schema of the type itself."""
        del handler_id
        return schema_creator.for_field_definition(field_definition)

    @classmethod
    def generate_field_definitions(
        cls, model_type: type[Any]
    ) -> Generator[DTOFieldDefinition, None, None]:
        """There are none: the type is read as it is."""
        del model_type
        yield from ()

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:
        """There are none."""
        del field_definition
        return False


def read_json(content: bytes, decoder: msgspec.json.Decoder[T], names: Iterable[bytes] = ()) -> T:
    """Read JSON of one type.

    Args:
        content: The JSON.
        decoder: Of the type.
        names: Every key that the type has, in its quotes; with these, keys that stand once need no second reading.

    Raises:
        Problem: it is no JSON, not of that type, or an object has two keys of one name.
    """
    try:
        found = decoder.decode(content)
    except msgspec.ValidationError as error:
        check_keys(content)
        raise invalid(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem("malformed-json", _plain(error)) from None
    if not (names and _each_once(content, names)):
        check_keys(content)
    return found


def _each_once(content: bytes, names: Iterable[bytes]) -> bool:
    """Whether no name stands twice in a text, whatever it stands for; none is written with escapes."""
    return b"\\" not in content and all(content.count(name) <= 1 for name in names)


def check_keys(content: bytes) -> None:
    """See that no object of a JSON text has two keys of one name.

    Raises:
        Problem: one has, or the text is no JSON after all.
    """
    try:
        _KEYS.decode(content.decode("utf-8"))
    except _TwiceError as error:
        raise Problem(
            "invalid-body",
            f"the key `{error.args[0][:80]}` stands twice in one object",
            fix="send each key once",
        ) from None
    except (ValueError, RecursionError) as error:
        raise Problem("malformed-json", _plain(error)) from None


def invalid(message: str) -> Problem:
    """The problem of a body that is not of its type, from the decoder's words."""
    found = _PLACE.match(message)
    words, at = (found["words"], found["at"]) if found is not None else (message, None)
    words = _SAID.get(words, words)
    fault = Fault(_lower(words), pointer=pointer_of(at or "$"))
    return Problem("invalid-body", f"{fault.pointer or 'the body'}: {fault.detail}", errors=[fault])


def pointer_of(path: str) -> str:
    """A decoder's path such as `$.orders[3].size` as a JSON pointer."""
    parts = [name or index for name, index in _STEP.findall(path)]
    return "".join(f"/{each.replace('~', '~0').replace('/', '~1')}" for each in parts)


class _TwiceError(ValueError):
    """A key stands twice."""


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        seen: set[str] = set()
        for name, _ in pairs:
            if name in seen:
                raise _TwiceError(name)
            seen.add(name)


# Values are of no interest here: numbers are not made of their text, however long.
_nothing: Callable[[str], Any] = len
_KEYS = json.JSONDecoder(
    object_pairs_hook=_once, parse_int=_nothing, parse_float=_nothing, parse_constant=_nothing
)


def _plain(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "the JSON is nested too deeply"
    return _lower(str(error))


def _lower(words: str) -> str:
    # `JSON` stays what it is.
    return words if words[1:2].isupper() else words[:1].lower() + words[1:]
