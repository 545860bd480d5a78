"""Bodies with many things: a JSON object with a list, or the list's elements as lines of JSON."""

from typing import Any, Generic, TypeVar

import msgspec
from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi.spec import Reference, Schema
from litestar.typing import FieldDefinition

from ringfence.runtime.garbage import no_collection
from ringfence.service.api.bodies import ExactJson, read_json

__all__ = ["NDJSON", "Batch", "Unread"]

NDJSON = "application/x-ndjson"
T = TypeVar("T")


class Unread(Generic[T]):
    """A body that is read once its handler's thread asks for it: others are answered meanwhile."""

    def __init__(self, content: bytes, decoder: msgspec.json.Decoder[T]) -> None:
        self._content, self._decoder = content, decoder

    def read(self) -> T:
        """What was sent.

        Raises:
            Problem: it is no JSON, or not of its type.
        """
        # Many small objects, and no cycles among them.
        with no_collection():
            return read_json(self._content, self._decoder)


class Batch(ExactJson):
    """Takes a body whose type, an `Unread[...]`, has one list, also as lines: each is an element of it."""

    media_types = ("application/json", NDJSON)

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
        return Unread(value, decoder)
