"""Named tuples of arrays, passed by address.

The books alone are thirty arrays. Passed by value, each call would hand over some two hundred numbers, and
compiling that takes minutes. A pack is the arrays' descriptors in one block of memory; compiled code gets
the block's address as a whole number, and reads from it as if it were the named tuple: `B.pos[b, s, Q]`.
"""

from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic

__all__ = ["Field", "Pack", "PackType", "prefetch", "prefetch_to_write", "reader"]


class Field(NamedTuple):
    """An array of a pack: its type, and its last length where that is always the same, else 0.

    With a constant length the place of an element takes a shift instead of a load and a multiplication.
    """

    name: str
    array: types.Array
    width: int

    def word_count(self) -> int:
        """Whole numbers that describe it: the address, and each length."""
        return 1 + int(self.array.ndim)


class PackType(types.Type):
    """The address of a block with the descriptors of arrays."""

    def __init__(self, name: str, fields: tuple[Field, ...]) -> None:
        self.fields = fields
        shown = ", ".join(f"{each.name}: {each.array} {each.width}" for each in fields)
        super().__init__(name=f"Pack({name}: {shown})")


@register_default(PackType)
class _PackModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: PackType) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@infer_getattr
class _PackAttributes(AttributeTemplate):
    key = PackType

    def generic_resolve(self, kind: PackType, name: str) -> types.Type | None:
        return next((each.array for each in kind.fields if each.name == name), None)


@lower_getattr_generic(PackType)
def _read(context: Any, builder: Any, kind: PackType, value: Any, name: str) -> Any:
    """Load an array's descriptor; it never changes while compiled code runs, which lets LLVM keep it."""
    words = 0
    for field in kind.fields:
        if field.name == name:
            break
        words += field.word_count()
    else:
        raise AttributeError(name)
    array = field.array
    block = builder.bitcast(value, ir.IntType(64).as_pointer())
    invariant = builder.module.add_metadata([])

    def word(at: int) -> Any:
        loaded = builder.load(cgutils.gep_inbounds(builder, block, words + at))
        loaded.set_metadata("invariant.load", invariant)
        return loaded

    found = context.make_array(array)(context, builder)
    data = builder.inttoptr(word(0), found.data.type)
    shape = [word(1 + k) for k in range(array.ndim)]
    if field.width:
        shape[-1] = context.get_constant(types.intp, field.width)
    size = context.get_abi_sizeof(context.get_data_type(array.dtype))
    strides = [context.get_constant(types.intp, size)]
    for length in reversed(shape[1:]):
        strides.insert(0, builder.mul(strides[0], length))
    count = shape[0]
    for length in shape[1:]:
        count = builder.mul(count, length)
    null = context.get_constant_null(types.voidptr)
    found.meminfo = null
    found.parent = null
    found.nitems = count
    found.itemsize = context.get_constant(types.intp, size)
    found.data = data
    found.shape = cgutils.pack_array(builder, shape)
    found.strides = cgutils.pack_array(builder, strides)
    return impl_ret_borrowed(context, builder, array, found._getvalue())


def reader(kind: PackType) -> Any:
    """A function for compiled code: the pack at an address."""

    @intrinsic
    def pack_at(typing_context: Any, address: Any) -> Any:
        del typing_context, address

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            del context, signature
            return builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())

        return kind(types.int64), codegen

    return pack_at


def _prefetch(write: int) -> Any:
    def prefetch(typing_context: Any, array: Any, place: Any) -> Any:
        """Have the cache line of the element at a flat place fetched; nothing waits for it."""
        del typing_context

        def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            found = context.make_array(signature.args[0])(context, builder, arguments[0])
            address = builder.gep(found.data, [arguments[1]])
            pointer, flag = ir.IntType(8).as_pointer(), ir.IntType(32)
            function = cgutils.get_or_insert_function(
                builder.module,
                ir.FunctionType(ir.VoidType(), [pointer, flag, flag, flag]),
                "llvm.prefetch.p0i8",
            )
            # As long as can be, into the data cache.
            flags = [flag(write), flag(3), flag(1)]
            builder.call(function, [builder.bitcast(address, pointer), *flags])
            return context.get_dummy_value()

        return types.none(array, types.int64), codegen

    return intrinsic(prefetch)


#: Of what will be read, and of what will be written.
prefetch, prefetch_to_write = _prefetch(0), _prefetch(1)


class Pack:
    """A block for compiled code, and the arrays that it describes, which it keeps alive.

    Raises:
        TypeError: an array is not of the type, shape or layout that compiled code expects.
    """

    __slots__ = ("_block", "address", "arrays")

    def __init__(self, kind: PackType, arrays: Any) -> None:
        words: list[int] = []
        for (name, expected, width), array in zip(kind.fields, arrays, strict=True):
            fits = (
                width in (0, array.shape[-1])
                and array.dtype == np.dtype(str(expected.dtype))
                and array.ndim == expected.ndim
                and array.flags.c_contiguous
                and array.flags.writeable
            )
            if not fits:
                raise TypeError(f"`{name}` is {array.dtype} of shape {array.shape}, not {expected}")
            words += [array.ctypes.data, *array.shape]
        self.arrays = arrays
        self._block = np.array(words, np.int64)
        self.address = int(self._block.ctypes.data)
