"""Activation functions that own a kernel; the others are combinations of element-wise operations."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import is_float
from mlc.dialects.hlt.elementwise import UnaryOp, require
from mlc.dialects.hlt.fields import Bool, Enum, Int
from mlc.dialects.hlt.shape import check_axis


@hlt_op
class SigmoidOp(UnaryOp):
    """1 / (1 + exp(-x)). ``%1 = hlt.sigmoid %0 : tensor<2x3xf32>``"""

    name = "hlt.sigmoid"


@hlt_op
class GeluOp(UnaryOp):
    """x * Phi(x), with the normal distribution's Phi exact (``none``) or by the usual ``tanh`` formula.

    ``%1 = hlt.gelu %0 <approximate = "tanh"> : tensor<2x3xf32>``
    """

    name = "hlt.gelu"

    approximate = Enum("none", "tanh")

    def __init__(self, x: Value, *, approximate: str = "none") -> None:
        HltOp.__init__(self, (x,), approximate=approximate)


@hlt_op
class SoftmaxOp(HltOp):
    """exp(x - max) / sum(exp(x - max)) along ``axis``, or its logarithm with ``log``.

    Where all elements along ``axis`` are -inf, that is NaN; with ``safe``, 0 (the logarithm -inf).

    ``%1 = hlt.softmax %0 <axis = 1, log = false, safe = false> : tensor<2x3xf32>``
    """

    name = "hlt.softmax"

    x = operand_def(TENSOR)
    axis = Int()
    log = Bool()
    safe = Bool()
    result = result_def(TENSOR)

    def __init__(self, x: Value, *, axis: int, log: bool = False, safe: bool = False) -> None:
        super().__init__((x,), axis=axis, log=log, safe=safe)

    def infer(self) -> tuple[TensorType, ...]:
        """[axis_range], [float_element_type]."""
        x = tensor(self.x)
        check_axis(self.axis, x.rank)
        require(self.name, is_float, x)
        return (x.type,)
