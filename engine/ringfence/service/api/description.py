"""The API's description of itself, OpenAPI 3.1: routes by the framework, bodies by the types that read them."""

from inspect import cleandoc
from typing import Any

import msgspec
from litestar import Litestar, Request
from litestar._openapi.schema_generation import SchemaCreator
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, OpenAPIType, SecurityScheme
from litestar.plugins import OpenAPISchemaPlugin
from litestar.typing import FieldDefinition

from ringfence import __version__
from ringfence.service.api.batches import Batch
from ringfence.service.api.examples import EXAMPLES
from ringfence.service.api.routes import ONCE

__all__ = ["StructReferences", "description_of", "openapi_config"]

_EVENTS = "text/event-stream"
_PLACE = "#/components/schemas/{name}"
_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request takes effect once, and gets the same answer, for a day.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
}
_TAGS = {
    "orders": "Have orders decided and sent; those that work.",
    "feeds": "What became of orders, prices and money.",
    "books": "Positions, money and what is compared with the venue.",
    "decisions": "What was decided, and why.",
    "policies": "The limits in force, what was in force, what differs.",
    "kill switches": "Stop trading, and let it go on.",
    "access": "People, API keys and tokens.",
    "proposals": "What one person asked for, and another has to confirm.",
    "dry runs": "Orders of the past through policies, as jobs.",
    "audit": "The log: is it whole, and where it ends.",
    "events": "What happens, as it happens.",
}


class StructReferences(OpenAPISchemaPlugin):
    """Names the types of bodies; `description_of` describes them, by the rules by which they are read."""

    def __init__(self) -> None:
        self.seen: dict[str, type[Any]] = {}

    def is_plugin_supported_field(self, field_definition: FieldDefinition) -> bool:
        """Whether it is a body's type."""
        return not field_definition.is_union and field_definition.is_subclass_of(msgspec.Struct)

    def to_openapi_schema(
        self, field_definition: FieldDefinition, schema_creator: SchemaCreator
    ) -> Any:
        """A reference to where it is described."""
        found = field_definition.annotation
        self.seen[found.__name__] = found
        registry = schema_creator.schema_registry
        schema = registry.get_schema_for_field_definition(field_definition)
        schema.type = OpenAPIType.OBJECT
        return registry.get_reference_for_field_definition(field_definition) or schema


class _OneDescription(JsonRenderPlugin):
    """Serves the description, which is put together once."""

    def __init__(self) -> None:
        super().__init__()
        self._content = b""

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        """The description as JSON."""
        del openapi_schema
        if not self._content:
            found = description_of(request.app)
            if root := request.scope.get("root_path"):
                found["servers"] = [{"url": root}]
            self._content = msgspec.json.encode(found)
        return self._content


def openapi_config() -> OpenAPIConfig:
    """How the framework is to describe the routes; no page that loads anything from elsewhere."""
    return OpenAPIConfig(
        title="Ringfence",
        version=__version__,
        summary="Pre-trade risk limits as code: orders decided, and everything around them.",
        description=(
            "Sizes, prices and amounts are taken as text or as JSON numbers, and no digit is lost; they are told "
            "as text. Times are nanoseconds since 1970 in UTC (`..._ns`) and RFC 3339. Errors are problem details "
            "(RFC 9457). A request may name itself by `X-Request-ID`, a word of at most 100 letters, digits and "
            "`._:-`; every answer has that name, or one that was made up."
        ),
        path="/schema",
        render_plugins=[_OneDescription()],
        use_handler_docstrings=True,
        security=[{"bearer": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(
                    type="http",
                    scheme="bearer",
                    bearer_format="JWT",
                    description="`ringfence token` makes one.",
                )
            }
        ),
    )


def description_of(app: Litestar) -> dict[str, Any]:
    """The whole description, as plain data; the same for the same version."""
    found: dict[str, Any] = app.openapi_schema.to_schema()
    (references,) = (each for each in app.plugins.openapi if isinstance(each, StructReferences))
    _, schemas = msgspec.json.schema_components(references.seen.values(), ref_template=_PLACE)
    for schema in schemas.values():
        if "description" in schema:
            # Docstrings are indented as the code is, but from Python 3.13 on.
            schema["description"] = cleandoc(schema["description"])
    found["components"]["schemas"] = dict(sorted(schemas.items()))
    for name, examples in EXAMPLES.items():
        if name in schemas:
            schemas[name]["examples"] = examples
    found["tags"] = [{"name": name, "description": text} for name, text in _TAGS.items()]
    handlers = {
        handler.operation_id: handler
        for route in app.routes
        for handler in getattr(route, "route_handlers", ())
    }
    found["paths"] = dict(sorted(found["paths"].items()))
    for path in found["paths"].values():
        for operation in path.values():
            _complete(operation, handlers[operation["operationId"]])
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter's schema: what is left out is no null, which a parameter cannot be."""
    if isinstance(schema.get("type"), list):
        (kind,) = (each for each in schema["type"] if each != "null")
        values = [each for each in schema["enum"] if each is not None]
        return {**schema, "type": kind, "enum": values}
    choices = [each for each in schema.get("oneOf", ()) if each != {"type": "null"}]
    if len(choices) != 1:
        return schema
    rest = {key: value for key, value in schema.items() if key != "oneOf"}
    return {**choices[0], **rest}


def _complete(operation: dict[str, Any], handler: Any) -> None:
    """What all routes have, and the framework does not know of."""
    parameters = operation.setdefault("parameters", [])
    for each in parameters:
        each["schema"] = _without_null(each["schema"])
    if handler.opt.get(ONCE) or operation["operationId"] in ("evaluate", "submit_order"):
        parameters.append(_KEY)
    body = operation.get("requestBody")
    dto = handler.resolve_data_dto()
    if body is not None and dto is not None and issubclass(dto, Batch):
        body["content"] |= {media: {"schema": each} for media, each in dto.described.items()}
        answered = operation["responses"]["200"]["content"]
        answered |= {media: {"schema": each} for media, each in dto.answers.items()}
    if not parameters:
        del operation["parameters"]
    for status, answer in operation["responses"].items():
        # Each event has a shape of its own, which this version of OpenAPI cannot say.
        if _EVENTS in answer.get("content", {}):
            answer["content"][_EVENTS] = {}
        answer.setdefault("headers", {})["X-Request-ID"] = {
            "description": "Names the request.",
            "schema": {"type": "string"},
        }
        if status == "405":
            answer["headers"]["Allow"] = {"schema": {"type": "string"}}
