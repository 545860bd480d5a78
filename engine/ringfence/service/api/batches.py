"""Bodies with many things: a JSON object with a list, the list's elements as lines of JSON, or an Arrow stream."""

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Generic, TypeVar

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from ringfence.runtime.garbage import no_collection
from ringfence.service.api.bodies import ExactJson, read_json

__all__ = ["ARROW", "NDJSON", "ArrowBatch", "Batch", "Unread"]

NDJSON = "application/x-ndjson"
ARROW = "application/vnd.apache.arrow.stream"
T = TypeVar("T")


class Unread(Generic[T]):
    """A body that is read once its handler's thread asks for it: others are answered meanwhile."""

    def __init__(
        self, content: bytes, decoder: msgspec.json.Decoder[T], media: str = "application/json"
    ) -> None:
        self._content, self._decoder, self.media = content, decoder, media

    def read(self, names: Iterable[bytes] = ()) -> T:
        """What was sent as JSON; `names` as of `read_json`.

        Raises:
            Problem: it is no JSON, or not of its type.
        """
        # Many small objects, and no cycles among them.
        with no_collection():
            return read_json(self._content, self._decoder, names)

    def read_with(self, reader: Callable[[bytes], Any]) -> Any:
        """What `reader` makes of the bytes that were sent."""
        return reader(self._content)


class Batch(ExactJson):
    """Takes a body whose type, an `Unread[...]`, has one list, also as lines: each is an element of it."""

    media_types: ClassVar[tuple[str, ...]] = ("application/json", NDJSON)
    described: ClassVar[dict[str, dict[str, Any]]] = {
        NDJSON: {"type": "string", "description": "JSON, one a line."}
    }
    """Schemas of the media types beside JSON, for the description."""
    answers: ClassVar[dict[str, dict[str, Any]]] = {}
    """The same of the answer."""

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Make the decoder of a handler, once."""
        super().create_for_field_definition(
            field_definition.inner_types[0], handler_id, backend_cls
        )

    @classmethod
    def create_openapi_schema(
        cls, field_definition: FieldDefinition, handler_id: str, schema_creator: SchemaCreator
    ) -> Reference | Schema:
        """The schema of what is read."""
        return super().create_openapi_schema(
            field_definition.inner_types[0], handler_id, schema_creator
        )

    def read(self, value: bytes, media: str, decoder: msgspec.json.Decoder[Any]) -> Any:
        """The body, unread."""
        if media == NDJSON:
            (field,) = msgspec.structs.fields(decoder.type)
            lines = b",".join(line for line in value.splitlines() if line.strip())
            value = b'{"%s":[%s]}' % (field.encode_name.encode("ascii"), lines)
        return Unread(value, decoder, media)


class ArrowBatch(Batch):
    """As `Batch`; takes and answers Arrow streams, too, whose columns are named as the fields."""

    media_types = (*Batch.media_types, ARROW)
    described: ClassVar[dict[str, dict[str, Any]]] = {
        **Batch.described,
        ARROW: {
            "type": "string",
            "format": "binary",
            "description": "An Arrow IPC stream, uncompressed; its columns are the fields of an order.",
        },
    }
    answers: ClassVar[dict[str, dict[str, Any]]] = {
        ARROW: {
            "type": "string",
            "format": "binary",
            "description": "An Arrow IPC stream with the same columns; `policy_set` stands in its metadata.",
        }
    }
