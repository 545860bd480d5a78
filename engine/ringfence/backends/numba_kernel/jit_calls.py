"""Functions that compiled code calls by their address: of C libraries, and of its own modules."""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

__all__ = ["call_evidence", "call_three"]

_WHOLE = ir.IntType(64)


def _caller(count):
    function_type = ir.FunctionType(_WHOLE, [_WHOLE] * count).as_pointer()
    signature = types.int64(*[types.int64] * (count + 1))

    def codegen(context, builder, _, arguments):
        function = builder.inttoptr(arguments[0], function_type)
        return builder.call(function, arguments[1:])

    return signature, codegen


@intrinsic
def call_three(typing_context, address, first, second, third):
    """Call a function of three whole numbers or addresses."""
    return _caller(3)


@intrinsic
def call_evidence(
    typing_context, address, views, firm, account, strategy, s, venue, table, begins, unwritten
):
    """Call `live_evidence.write_at` by its address."""
    return _caller(9)
