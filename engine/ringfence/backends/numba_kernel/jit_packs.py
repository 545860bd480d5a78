"""Named tuples of arrays, passed by address.

The books alone are thirty arrays. Passed by value, each call would hand over some two hundred numbers, and
compiling that takes minutes. A pack is the arrays' descriptors in one block of memory; compiled code gets
the block's address as a whole number, and reads from it as if it were the named tuple: `B.pos[b, s, Q]`.
"""

from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models, register_default
from numba.core.imputils import impl_ret_borrowed
from numba.core.typing.templates import AttributeTemplate, infer_getattr
from numba.extending import intrinsic, lower_getattr_generic

__all__ = ["Pack", "PackType", "reader"]


class PackType(types.Type):
    """The address of a block with the descriptors of `fields`: name and array type."""

    def __init__(self, name: str, fields: tuple[tuple[str, types.Array], ...]) -> None:
        self.fields = fields
        shown = ", ".join(f"{field}: {kind}" for field, kind in fields)
        super().__init__(name=f"Pack({name}: {shown})")


@register_default(PackType)
class _PackModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: PackType) -> None:
        super().__init__(manager, kind, ir.IntType(8).as_pointer())


@infer_getattr
class _PackAttributes(AttributeTemplate):
    key = PackType

    def generic_resolve(self, kind: PackType, name: str) -> types.Type | None:
        return dict(kind.fields).get(name)


@lower_getattr_generic(PackType)
def _read(context: Any, builder: Any, kind: PackType, value: Any, name: str) -> Any:
    """Load an array's descriptor; it never changes while compiled code runs, which lets LLVM keep it."""
    words = 0
    for field, array in kind.fields:
        if field == name:
            break
        words += _words(array)
    else:
        raise AttributeError(name)
    block = builder.bitcast(value, ir.IntType(64).as_pointer())
    invariant = builder.module.add_metadata([])

    def word(at: int) -> Any:
        loaded = builder.load(cgutils.gep_inbounds(builder, block, words + at))
        loaded.set_metadata("invariant.load", invariant)
        return loaded

    found = context.make_array(array)(context, builder)
    data = builder.inttoptr(word(0), found.data.type)
    shape = [word(1 + k) for k in range(array.ndim)]
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


def _words(array: types.Array) -> int:
    return 1 + int(array.ndim)


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


class Pack:
    """A block for compiled code, and the arrays that it describes, which it keeps alive.

    Raises:
        TypeError: an array is not of the type, shape or layout that compiled code expects.
    """

    __slots__ = ("_block", "address", "arrays")

    def __init__(self, kind: PackType, arrays: Any) -> None:
        words: list[int] = []
        for (name, expected), array in zip(kind.fields, arrays, strict=True):
            fits = (
                array.dtype == np.dtype(str(expected.dtype))
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
