"""Element-wise operations: every operand has the result's shape (``hlt.broadcast`` makes it so)."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from xdsl.dialects.builtin import TensorType, i1
from xdsl.ir import Attribute
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import ELEMENT_TYPES, is_bool, is_float, tensor_type
from mlc.dialects.hlt.fields import Bool, Element, Enum, fail
from mlc.dialects.hlt.narrow import EXPONENT, bit_width


def _any_element(element: Attribute) -> bool:
    return True


def _numeric(element: Attribute) -> bool:
    return not is_bool(element)


def _bits(element: Attribute) -> bool:
    return not is_float(element)


def _integer(element: Attribute) -> bool:
    return not is_float(element) and not is_bool(element)


Domain = Callable[[Attribute], bool]
_LABELS: dict[Domain, str] = {
    _numeric: "numeric_element_type",
    _bits: "bits_element_type",
    _integer: "integer_element_type",
    is_float: "float_element_type",
}


def require(name: str, domain: Domain, x: Tensor) -> None:
    """Raises ``VerifyException`` with the domain's label unless ``x`` is of a type in ``domain``."""
    if not domain(x.element):
        raise fail(_LABELS[domain], f"{name} is not defined on {x.element}")


def same_shape(name: str, *tensors: Tensor) -> None:
    """[same_shape] all operands have the same shape."""
    shapes = [x.shape for x in tensors]
    if any(shape != shapes[0] for shape in shapes):
        raise fail("same_shape", f"{name} has operands of shapes {', '.join(map(str, shapes))}")


def same_element_type(name: str, *tensors: Tensor) -> None:
    """[same_element_type] all operands have the same element type."""
    if any(x.element != tensors[0].element for x in tensors):
        elements = ", ".join(str(x.element) for x in tensors)
        raise fail("same_element_type", f"{name} has operands of element types {elements}")


class UnaryOp(HltOp):
    """Base of operations on one tensor with a result of the same type."""

    DOMAIN: ClassVar[Domain] = staticmethod(is_float)

    x = operand_def(TENSOR)
    result = result_def(TENSOR)

    def __init__(self, x: Value) -> None:
        super().__init__((x,))

    def infer(self) -> tuple[TensorType, ...]:
        """[float_element_type] or the label of the operation's own domain."""
        x = tensor(self.x)
        require(self.name, type(self).DOMAIN, x)
        return (x.type,)


class BinaryOp(HltOp):
    """Base of operations on two tensors of one type with a result of that type."""

    DOMAIN: ClassVar[Domain] = staticmethod(_numeric)

    lhs = operand_def(TENSOR)
    rhs = operand_def(TENSOR)
    result = result_def(TENSOR)

    def __init__(self, lhs: Value, rhs: Value) -> None:
        super().__init__((lhs, rhs))

    def infer(self) -> tuple[TensorType, ...]:
        """[same_shape], [same_element_type], and the label of the operation's domain."""
        lhs, rhs = tensor(self.lhs), tensor(self.rhs)
        same_shape(self.name, lhs, rhs)
        same_element_type(self.name, lhs, rhs)
        require(self.name, type(self).DOMAIN, lhs)
        return (lhs.type,)


@hlt_op
class AddOp(BinaryOp):
    """Sum; integers wrap. ``%2 = hlt.add %0, %1 : tensor<2x3xf32>``"""

    name = "hlt.add"


@hlt_op
class SubOp(BinaryOp):
    """Difference; integers wrap. ``%2 = hlt.sub %0, %1 : tensor<2x3xf32>``"""

    name = "hlt.sub"


@hlt_op
class MulOp(BinaryOp):
    """Product; integers wrap. ``%2 = hlt.mul %0, %1 : tensor<2x3xf32>``"""

    name = "hlt.mul"


@hlt_op
class DivOp(BinaryOp):
    """Quotient; integers truncate, and a zero divisor gives 0. ``%2 = hlt.div %0, %1 : tensor<2x3xi32>``"""

    name = "hlt.div"


@hlt_op
class RemOp(BinaryOp):
    """Remainder with the sign of the dividend (``trunc``, as C) or of the divisor (``floor``, as Python).

    An integer remainder by zero is 0. ``%2 = hlt.rem %0, %1 <mode = "floor"> : tensor<2x3xi32>``
    """

    name = "hlt.rem"

    mode = Enum("trunc", "floor")

    def __init__(self, lhs: Value, rhs: Value, *, mode: str = "trunc") -> None:
        HltOp.__init__(self, (lhs, rhs), mode=mode)


@hlt_op
class PowOp(BinaryOp):
    """``lhs`` to the power of ``rhs``; integers wrap, a negative integer exponent truncates the real result.

    ``%2 = hlt.pow %0, %1 : tensor<2x3xf32>``
    """

    name = "hlt.pow"


@hlt_op
class MaximumOp(BinaryOp):
    """The larger operand; NaN if either is NaN. ``%2 = hlt.maximum %0, %1 : tensor<2x3xf32>``"""

    name = "hlt.maximum"


@hlt_op
class MinimumOp(BinaryOp):
    """The smaller operand; NaN if either is NaN. ``%2 = hlt.minimum %0, %1 : tensor<2x3xf32>``"""

    name = "hlt.minimum"


@hlt_op
class AndOp(BinaryOp):
    """Logical on i1, bitwise on integers. ``%2 = hlt.and %0, %1 : tensor<2x3xi1>``"""

    name = "hlt.and"
    DOMAIN: ClassVar[Domain] = staticmethod(_bits)


@hlt_op
class OrOp(BinaryOp):
    """Logical on i1, bitwise on integers. ``%2 = hlt.or %0, %1 : tensor<2x3xi1>``"""

    name = "hlt.or"
    DOMAIN: ClassVar[Domain] = staticmethod(_bits)


@hlt_op
class XorOp(BinaryOp):
    """Logical on i1, bitwise on integers. ``%2 = hlt.xor %0, %1 : tensor<2x3xi1>``"""

    name = "hlt.xor"
    DOMAIN: ClassVar[Domain] = staticmethod(_bits)


@hlt_op
class ShiftLeftOp(BinaryOp):
    """``lhs`` shifted left by ``rhs`` bits; 0 when ``rhs`` is not in 0 to width - 1.

    ``%2 = hlt.shift_left %0, %1 : tensor<2x3xui8>``
    """

    name = "hlt.shift_left"
    DOMAIN: ClassVar[Domain] = staticmethod(_integer)


@hlt_op
class ShiftRightOp(BinaryOp):
    """``lhs`` shifted right by ``rhs`` bits, arithmetically on signed types.

    When ``rhs`` is not in 0 to width - 1, all bits become the sign bit (0 on unsigned types).
    ``%2 = hlt.shift_right %0, %1 : tensor<2x3xui8>``
    """

    name = "hlt.shift_right"
    DOMAIN: ClassVar[Domain] = staticmethod(_integer)


@hlt_op
class CompareOp(BinaryOp):
    """Comparison into i1: ordered (false on NaN), except ``ne``, which is true on NaN.

    ``%2 = hlt.compare %0, %1 <predicate = "lt"> : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>``
    """

    name = "hlt.compare"
    DOMAIN: ClassVar[Domain] = staticmethod(_any_element)

    predicate = Enum("eq", "ne", "lt", "le", "gt", "ge")

    def __init__(self, lhs: Value, rhs: Value, *, predicate: str) -> None:
        HltOp.__init__(self, (lhs, rhs), predicate=predicate)

    def infer(self) -> tuple[TensorType, ...]:
        """[same_shape], [same_element_type]."""
        (operand,) = super().infer()
        return (tensor_type(operand.get_shape(), i1),)


@hlt_op
class SelectOp(HltOp):
    """``on_true`` where ``cond`` holds, else ``on_false``.

    ``%3 = hlt.select %0, %1, %2 : (tensor<2xi1>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>``
    """

    name = "hlt.select"
    MOVES: ClassVar[bool] = True

    cond = operand_def(TENSOR)
    on_true = operand_def(TENSOR)
    on_false = operand_def(TENSOR)
    result = result_def(TENSOR)

    def __init__(self, cond: Value, on_true: Value, on_false: Value) -> None:
        super().__init__((cond, on_true, on_false))

    def infer(self) -> tuple[TensorType, ...]:
        """[select_condition] i1; [same_shape], [same_element_type]."""
        cond, on_true, on_false = tensor(self.cond), tensor(self.on_true), tensor(self.on_false)
        if not is_bool(cond.element):
            raise fail("select_condition", f"the condition is of {cond.element}, must be i1")
        same_shape(self.name, cond, on_true, on_false)
        same_element_type(self.name, on_true, on_false)
        return (on_true.type,)


@hlt_op
class CastOp(HltOp):
    """Conversion to ``dtype``.

    Floats round to nearest even. Float to integer truncates, saturates, and takes NaN to 0, whatever
    ``saturate`` says: with it, what is too large for a narrow float type becomes its largest number (an infinity,
    too), else an infinity, or NaN in a type without. Integer to integer wraps; to integers of 2 or 4 bits floats
    go by way of i32. To i1: whether the element differs
    from zero.

    ``%1 = hlt.cast %0 <dtype = i32, saturate = true> : (tensor<2xf32>) -> tensor<2xi32>``
    """

    name = "hlt.cast"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    dtype = Element()
    saturate = Bool()
    result = result_def(TENSOR)

    def __init__(self, x: Value, dtype: Attribute, *, saturate: bool = True) -> None:
        super().__init__((x,), dtype=dtype, saturate=saturate)

    def infer(self) -> tuple[TensorType, ...]:
        """[element_type] ``dtype`` is one that hlt has; [cast_target] and not f8E8M0FNU."""
        if self.dtype not in ELEMENT_TYPES:
            raise fail("element_type", f"{self.dtype} is not an element type of hlt")
        if self.dtype == EXPONENT:
            raise fail("cast_target", f"{self.name} can't round to {self.dtype}; write it with {BitcastOp.name}")
        return (tensor_type(tensor(self.x).shape, self.dtype),)


@hlt_op
class BitcastOp(HltOp):
    """The same bits read as ``dtype``, of as many bits.

    ``%1 = hlt.bitcast %0 <dtype = i32> : (tensor<2xf32>) -> tensor<2xi32>``
    """

    name = "hlt.bitcast"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    dtype = Element()
    result = result_def(TENSOR)

    def __init__(self, x: Value, dtype: Attribute) -> None:
        super().__init__((x,), dtype=dtype)

    def infer(self) -> tuple[TensorType, ...]:
        """[element_type] ``dtype`` is one that hlt has; [bit_width] elements have as many bits, and more than one."""
        if self.dtype not in ELEMENT_TYPES:
            raise fail("element_type", f"{self.dtype} is not an element type of hlt")
        shape, element = tensor(self.x)
        if bit_width(element) != bit_width(self.dtype) or (element != self.dtype and is_bool(element)):
            raise fail("bit_width", f"{element} and {self.dtype} don't have the same number of bits")
        return (tensor_type(shape, self.dtype),)


@hlt_op
class NegOp(UnaryOp):
    """Negation; integers wrap. ``%1 = hlt.neg %0 : tensor<2x3xf32>``"""

    name = "hlt.neg"
    DOMAIN: ClassVar[Domain] = staticmethod(_numeric)


@hlt_op
class AbsOp(UnaryOp):
    """Absolute value; the least integer stays. ``%1 = hlt.abs %0 : tensor<2x3xf32>``"""

    name = "hlt.abs"
    DOMAIN: ClassVar[Domain] = staticmethod(_numeric)


@hlt_op
class SignOp(UnaryOp):
    """-1, 0 or 1; NaN stays. ``%1 = hlt.sign %0 : tensor<2x3xf32>``"""

    name = "hlt.sign"
    DOMAIN: ClassVar[Domain] = staticmethod(_numeric)


@hlt_op
class NotOp(UnaryOp):
    """Logical on i1, bitwise on integers. ``%1 = hlt.not %0 : tensor<2x3xi1>``"""

    name = "hlt.not"
    DOMAIN: ClassVar[Domain] = staticmethod(_bits)


class PredicateOp(UnaryOp):
    """Base of float classifications: the result is i1."""

    def infer(self) -> tuple[TensorType, ...]:
        """[float_element_type]."""
        (operand,) = super().infer()
        return (tensor_type(operand.get_shape(), i1),)


@hlt_op
class IsNanOp(PredicateOp):
    """Whether x is NaN. ``%1 = hlt.is_nan %0 : (tensor<2xf32>) -> tensor<2xi1>``"""

    name = "hlt.is_nan"


@hlt_op
class IsInfOp(PredicateOp):
    """Whether x is an infinity of one of the signs asked for.

    ``%1 = hlt.is_inf %0 <positive = true, negative = false> : (tensor<2xf32>) -> tensor<2xi1>``
    """

    name = "hlt.is_inf"

    positive = Bool()
    negative = Bool()

    def __init__(self, x: Value, *, positive: bool = True, negative: bool = True) -> None:
        HltOp.__init__(self, (x,), positive=positive, negative=negative)
