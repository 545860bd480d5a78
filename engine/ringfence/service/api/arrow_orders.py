"""Orders and decisions as Arrow IPC streams, https://arrow.apache.org/docs/format/Columnar.html.

A stream names lengths and offsets of its own, and could make a reader take more memory than it has bytes. So it is
looked through first: nothing compressed, no piecemeal dictionaries, no more rows than are taken. What is left refers
to the bytes of the body, and is checked in full before it is looked at.
"""

import struct
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, NoReturn

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ringfence.runtime.asked import KINDS, SIDES
from ringfence.runtime.order_columns import (
    Coded,
    OrderColumns,
    PreviewedColumns,
    of_one,
    recoded,
)
from ringfence.service.api.numbers import plain_text, text_of
from ringfence.service.api.preview_bodies import COLUMN_NAMES, MOST_ORDERS, PreviewColumns
from ringfence.service.api.problems import Fault, Problem

__all__ = ["read_orders", "write_previews"]

# A stream of many small batches takes longer to read than it says.
_MOST_MESSAGES = 256
# Ten columns, and what a writer says of itself.
_MOST_METADATA = 1 << 20
_END = b"\xff\xff\xff\xff\0\0\0\0"
_REQUIRED = ("account", "symbol", "side", "size")
_NUMBERS = ("size", "price")
_LONGEST_NAME = 200
# Of a decimal256.
_MOST_DIGITS = 76
# What is raised for bytes that are something else than they say.
_FAULTS = (
    pa.ArrowException,
    OSError,
    EOFError,
    ValueError,
    ArithmeticError,
    IndexError,
    struct.error,
)
_DEFAULTS = {
    name: getattr(PreviewColumns("", "", "buy", []), name)
    for name in COLUMN_NAMES
    if name not in _REQUIRED
}


def read_orders(content: bytes) -> OrderColumns:
    """Read orders from a stream whose columns are named as the fields of an order.

    Raises:
        Problem: it is no whole stream, or not of orders; names column and row where there are any.
    """
    try:
        _look_through(content)
        reader = pa.ipc.open_stream(pa.BufferReader(content))
        _check_names(reader.schema)
        batches = list(reader)
        for each in batches:
            each.validate(full=True)
        count = sum(len(each) for each in batches)
        if not 0 < count <= MOST_ORDERS:
            _refuse("", f"it has {count:,} rows", f"send 1 to {MOST_ORDERS:,} orders")
        schema = reader.schema
        return OrderColumns(
            *(
                (
                    _column(schema.field(name), [each.column(name) for each in batches])
                    if name in schema.names
                    else of_one(_DEFAULTS[name], count)
                )
                for name in OrderColumns._fields
            )
        )
    except _FAULTS as error:
        raise _broken(str(error).partition("\n")[0][:200]) from None


def write_previews(found: PreviewedColumns, policy_set: str) -> bytes:
    """What would be decided, as a stream: the columns of `PreviewsBody`; its metadata name the policy set."""
    arrays: list[pa.Array] = []
    for name, (values, places) in zip(found._fields, found, strict=True):
        array = pa.DictionaryArray.from_arrays(
            pa.array(np.ascontiguousarray(places)), pa.array(values, pa.string())
        )
        # Hardly any two sizes need be equal.
        arrays.append(array.dictionary_decode() if name == "size" else array)
    batch = pa.record_batch(arrays, names=list(found._fields))
    batch = batch.replace_schema_metadata({"policy_set": policy_set})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())


def _look_through(content: bytes) -> None:
    """See that reading the stream takes no more than its bytes."""
    source = pa.BufferReader(content)
    rows = 0
    for number, message in enumerate(_messages(pa.ipc.MessageReader.open_stream(source))):
        if number >= _MOST_MESSAGES:
            _refuse("", f"it has more than {_MOST_MESSAGES} messages", "send fewer, larger batches")
        if message.metadata.size > _MOST_METADATA:
            _refuse("", "a message has too much metadata", "leave metadata out")
        kind = message.type
        if (kind == "schema") != (number == 0):
            raise _broken("one message is a schema, and it is the first")
        if kind == "schema":
            continue
        if kind not in ("record batch", "dictionary"):
            raise _broken("it holds something else than batches and dictionaries")
        table = _Table.root(message.metadata.to_pybytes()).table(2)
        if kind == "dictionary":
            if table.byte(2):
                _refuse("", "a dictionary comes in pieces", "send each dictionary whole")
            table = table.table(1)
        if table.has(3):
            _refuse("", "it is compressed", "write it without compression")
        length = table.long(0)
        if kind == "record batch":
            rows += length
        if length < 0 or length > MOST_ORDERS or rows > MOST_ORDERS:
            _refuse("", f"it has more than {MOST_ORDERS:,} rows", "send it in smaller parts")
    if source.tell() != len(content) or not content.endswith(_END):
        raise _broken("its end is missing, or something follows it")


def _messages(reader: Any) -> Iterator[Any]:
    while True:
        try:
            yield reader.read_next_message()
        except StopIteration:
            return


class _Table:
    """A table of the metadata, https://flatbuffers.dev/internals; pyarrow has checked that it is one."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content, self._at = content, at
        self._fields = at - self._number("<i", at)

    @classmethod
    def root(cls, content: bytes) -> "_Table":
        return cls(content, struct.unpack_from("<I", content)[0])

    def _number(self, form: str, at: int) -> int:
        return int(struct.unpack_from(form, self._content, at)[0])

    def _place(self, field: int) -> int:
        at = 4 + 2 * field
        if at + 2 > self._number("<H", self._fields):
            return 0
        offset = self._number("<H", self._fields + at)
        return self._at + offset if offset else 0

    def has(self, field: int) -> bool:
        return self._place(field) > 0

    def byte(self, field: int) -> int:
        at = self._place(field)
        return self._content[at] if at else 0

    def long(self, field: int) -> int:
        at = self._place(field)
        return self._number("<q", at) if at else 0

    def table(self, field: int) -> "_Table":
        at = self._place(field)
        if not at:
            raise IndexError("a message has no header")
        return _Table(self._content, at + self._number("<I", at))


def _check_names(schema: pa.Schema) -> None:
    names = schema.names
    for name in names:
        if name not in COLUMN_NAMES:
            _refuse(name, "there is no such column", f"the columns are {', '.join(COLUMN_NAMES)}")
        if names.count(name) > 1:
            _refuse(name, "it stands twice", "send each column once")
    for name in _REQUIRED:
        if name not in names:
            _refuse(name, "the column is missing", f"needed are {', '.join(_REQUIRED)}")
    for field in schema:
        _check_type(field)


def _check_type(field: pa.Field) -> None:
    kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
    if field.name == "reduce_only":
        fits, wanted = pa.types.is_boolean(kind), "bool"
    else:
        fits, wanted = pa.types.is_string(kind) or pa.types.is_large_string(kind), "utf8"
        if field.name in _NUMBERS:
            wanted = "utf8, decimal128, decimal256, a whole number or float64"
            fits = (
                fits
                or pa.types.is_integer(kind)
                or pa.types.is_float64(kind)
                or (
                    (pa.types.is_decimal128(kind) or pa.types.is_decimal256(kind))
                    and abs(kind.scale) <= _MOST_DIGITS
                )
            )
    if not fits:
        _refuse(field.name, f"it is of type {field.type}"[:120], f"send {wanted}")


def _column(field: pa.Field, chunks: list[pa.Array]) -> Coded:
    """A column, with the values that it is asked for."""
    values: list[Any] = []
    places = []
    for chunk in chunks:
        column = chunk if pa.types.is_dictionary(chunk.type) else chunk.dictionary_encode()
        indices, dictionary = column.indices, column.dictionary
        if len(dictionary) > len(chunk):
            used = indices.drop_null().unique()
            indices, dictionary = pc.index_in(indices, used), dictionary.take(used)
        if indices.null_count:
            indices = indices.cast(pa.int64()).fill_null(len(dictionary))
        places.append(indices.to_numpy(zero_copy_only=False).astype(np.int64) + len(values))
        values += [*dictionary.to_pylist(), None]
    return _read(field.name, recoded(values, np.concatenate(places)))


def _read(name: str, column: Coded) -> Coded:
    """The column with its values read, those that occur."""
    used, places = np.unique(column.places, return_inverse=True)
    found: list[Any] = []
    for k, value in enumerate([column.values[at] for at in used.tolist()]):
        try:
            found.append(_value(name, value))
        except Problem as problem:
            row = int(np.argmax(places == k))
            why = problem.errors[0].detail if problem.errors else problem.detail
            _refuse(name, f"row {row}: {why}", problem.fix, f"/{name}/{row}")
    return Coded(found, places.astype(np.int32))


def _value(name: str, value: Any) -> Any:
    if value is None:
        if name == "price":
            return None
        raise Problem("invalid-body", "it is null", fix="give every order a value")
    if name in _NUMBERS:
        return _number(value)
    known = {"side": SIDES, "type": KINDS}.get(name)
    if known is not None and value not in known:
        raise Problem(
            "invalid-body", f"`{value[:40]}` is no {name}", fix=f"it is one of {', '.join(known)}"
        )
    if isinstance(value, str) and len(value) > _LONGEST_NAME:
        raise Problem(
            "invalid-body",
            f"it has more than {_LONGEST_NAME} characters",
            fix="give names as the desk declares them",
        )
    return value


def _number(value: Any) -> str:
    if isinstance(value, str):
        return plain_text(value, "")
    # Of a float the shortest text that reads back as the same one.
    text = str(value) if isinstance(value, Decimal) else repr(value)
    return text_of(text.encode("ascii"), "")


def _refuse(column: str, detail: str, fix: str, pointer: str = "") -> NoReturn:
    words = f"column `{column[:80]}`: {detail}" if column else detail
    fault = Fault(words, pointer=pointer or (f"/{column[:80]}" if column else ""))
    raise Problem("invalid-body", words, fix=fix, errors=[fault])


def _broken(why: str) -> Problem:
    return Problem("malformed-arrow", why[:1].lower() + why[1:])
