"""C functions that the user brings: a kernel with nothing but the call."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr, UnitAttr
from xdsl.ir import Block, Region

from mlc.dialects import hlt
from mlc.dialects.hlt.external import DTYPE_CODES
from mlc.dialects.loop import STATUS, CallCOp, KernelOp
from mlc.lowering.kernels.builder import memref_type


def lower_call_c(op: hlt.CallCOp, name: str) -> KernelOp:
    """The kernel of a call: its arguments are the inputs, the outputs and the status word."""
    values = (*op.inputs, *op.outputs)
    block = Block(arg_types=[*(memref_type(value.type) for value in values), STATUS])
    count = len(op.inputs)
    dtypes = [DTYPE_CODES[hlt.numpy_dtype(hlt.element_of(value)).name] for value in values]
    *buffers, status = block.args
    call = CallCOp.make(op.symbol, buffers[:count], buffers[count:], status, dtypes=dtypes, parameters=op.parameters)
    block.add_op(call)
    return KernelOp.create(properties={"sym_name": StringAttr(name), "checked": UnitAttr()}, regions=[Region(block)])
