"""loop.call_c: a kernel's call of a C function that the user brings."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, MemRefType, StringAttr, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    prop_def,
    var_operand_def,
)

from mlc.dialects.loop.program import STATUS


@irdl_op_definition
class CallCOp(IRDLOperation):
    """Calls a C function on dense buffers; what it returns, unless 0, makes the status OPERATOR_FAILED.

    ``dtypes`` has the number of each buffer's element type, inputs first; ``parameters`` what else it gets.

        loop.call_c "squared_relu" ins(%x : memref<2x8xf32>) outs(%y : memref<2x8xf32>) status %s
            dtypes [1 : i32, 1 : i32] parameters [2.0 : f64]
    """

    name = "loop.call_c"
    symbol = prop_def(StringAttr)
    dtypes = prop_def(ArrayAttr)
    parameters = prop_def(ArrayAttr)
    ins = var_operand_def(MemRefType)
    outs = var_operand_def(MemRefType)
    status = operand_def(STATUS)
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "$symbol `ins` `(` ($ins^ `:` type($ins))? `)` `outs` `(` ($outs^ `:` type($outs))? `)` `status` $status"
        " `dtypes` $dtypes `parameters` $parameters attr-dict"
    )

    @classmethod
    def make(
        cls,
        symbol: StringAttr,
        ins: Sequence[SSAValue],
        outs: Sequence[SSAValue],
        status: SSAValue,
        *,
        dtypes: Sequence[int],
        parameters: ArrayAttr[Attribute],
    ) -> CallCOp:
        """A call with its buffers, all of them arguments of the kernel."""
        properties = {
            "symbol": symbol,
            "dtypes": ArrayAttr([IntegerAttr(code, i32) for code in dtypes]),
            "parameters": parameters,
        }
        return cls(operands=[list(ins), list(outs), status], properties=properties)
