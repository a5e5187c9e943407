"""Element-wise arithmetic. What changes a sign of zero, an infinity or a NaN is not done."""

from __future__ import annotations

import math

import numpy as np
from xdsl.ir import Attribute, Operation, SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.match import constant, full_like, is_splat, producer, single_use, splat
from mlc.lowering.graph.rewrite import Rules

RULES = Rules()

COMMUTATIVE = (hlt.AddOp, hlt.MulOp, hlt.MaximumOp, hlt.MinimumOp, hlt.AndOp, hlt.OrOp, hlt.XorOp)
_FLIPPED = {"eq": "eq", "ne": "ne", "lt": "gt", "le": "ge", "gt": "lt", "ge": "le"}


def _is_float(value: SSAValue) -> bool:
    return hlt.is_float(hlt.element_of(value))


@RULES.on(*COMMUTATIVE)
def constant_to_the_right(op: hlt.BinaryOp) -> Value | None:
    """``c + x`` is ``x + c``."""
    if type(op.lhs.owner) is not hlt.ConstantOp or type(op.rhs.owner) is hlt.ConstantOp:
        return None
    return type(op)(op.rhs, op.lhs)


@RULES.on(hlt.CompareOp)
def compared_constant_to_the_right(op: hlt.CompareOp) -> Value | None:
    if type(op.lhs.owner) is not hlt.ConstantOp or type(op.rhs.owner) is hlt.ConstantOp:
        return None
    return hlt.CompareOp(op.rhs, op.lhs, predicate=_FLIPPED[op.predicate])


@RULES.on(hlt.AddOp)
def add_of_zero(op: hlt.AddOp) -> Value | None:
    """-0.0 is the neutral element of float addition; 0.0 is not, as it takes -0.0 to 0.0."""
    zero = -0.0 if _is_float(op.lhs) else 0
    return op.lhs if is_splat(op.rhs, zero) else None


@RULES.on(hlt.AddOp)
def add_of_negation(op: hlt.AddOp) -> Value | None:
    """``x + -y`` is ``x - y``."""
    for x, y in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        negation = producer(y, hlt.NegOp)
        if negation is not None:
            return hlt.SubOp(x, negation.x)
    return None


@RULES.on(hlt.SubOp)
def sub_of_zero(op: hlt.SubOp) -> Value | None:
    return op.lhs if is_splat(op.rhs, 0.0) else None


@RULES.on(hlt.SubOp)
def sub_of_negation(op: hlt.SubOp) -> Value | None:
    """``x - -y`` is ``x + y``."""
    negation = producer(op.rhs, hlt.NegOp)
    return negation and hlt.AddOp(op.lhs, negation.x)


@RULES.on(hlt.SubOp)
def sub_from_zero(op: hlt.SubOp) -> Value | None:
    """``0 - x`` is ``-x`` of integers, ``-0.0 - x`` of floats."""
    zero = -0.0 if _is_float(op.lhs) else 0
    return hlt.NegOp(op.rhs) if is_splat(op.lhs, zero) else None


@RULES.on(hlt.MulOp, hlt.DivOp)
def factor_of_one(op: hlt.MulOp | hlt.DivOp) -> Value | None:
    return op.lhs if is_splat(op.rhs, 1) else None


@RULES.on(hlt.MulOp)
def factor_of_minus_one(op: hlt.MulOp) -> Value | None:
    return hlt.NegOp(op.lhs) if is_splat(op.rhs, -1) else None


@RULES.on(hlt.MulOp)
def factor_of_zero(op: hlt.MulOp) -> Value | None:
    """Of integers only: a float may be infinite or NaN."""
    return op.rhs if not _is_float(op.lhs) and is_splat(op.rhs, 0) else None


@RULES.on(hlt.AddOp, hlt.MulOp)
def integer_constants(op: hlt.AddOp | hlt.MulOp) -> Value | None:
    """``(x + a) + b`` is ``x + (a + b)`` where sums wrap; likewise products."""
    inner = producer(op.lhs, type(op))
    if inner is None or _is_float(op.lhs):
        return None
    a, b = splat(inner.rhs), splat(op.rhs)
    if a is None or b is None:
        return None
    with np.errstate(over="ignore"):
        joined = np.add(a, b) if isinstance(op, hlt.AddOp) else np.multiply(a, b)
    return type(op)(inner.lhs, full_like(op.rhs, joined))


@RULES.on(hlt.DivOp)
def division_by_power_of_two(op: hlt.DivOp) -> Value | None:
    """A product with the reciprocal, where that is exact."""
    divisor = splat(op.rhs)
    if divisor is None or not _is_float(op.lhs) or not _has_exact_reciprocal(divisor):
        return None
    return hlt.MulOp(op.lhs, full_like(op.rhs, 1.0 / float(divisor)))


def _has_exact_reciprocal(divisor: np.generic) -> bool:
    number = float(divisor)
    if not math.isfinite(number) or abs(math.frexp(number)[0]) != 0.5:
        return False
    inverse = np.float64(1.0 / number).astype(divisor.dtype)
    return bool(np.isfinite(inverse)) and float(inverse) == 1.0 / number and _is_normal(inverse)


def _is_normal(number: np.generic) -> bool:
    return abs(float(number)) >= 2.0**-126 if number.dtype.itemsize >= 4 else abs(float(number)) >= 2.0**-14


@RULES.on(hlt.DivOp)
def one_over(op: hlt.DivOp) -> Value | None:
    """``1 / x`` is a reciprocal."""
    return hlt.ReciprocalOp(op.rhs) if _is_float(op.lhs) and is_splat(op.lhs, 1) else None


@RULES.on(hlt.NegOp, hlt.NotOp)
def involution(op: hlt.NegOp | hlt.NotOp) -> Value | None:
    """Done twice, it is undone."""
    inner = producer(op.x, type(op))
    return inner and inner.x


@RULES.on(hlt.AbsOp)
def abs_of_sign_change(op: hlt.AbsOp) -> Value | None:
    """``||x||`` is ``|x|``, and so is ``|-x|`` of what has a sign; an unsigned ``x`` is its own absolute value."""
    if hlt.numpy_dtype(hlt.element_of(op.x)).kind == "u":
        return op.x
    inner = producer(op.x, hlt.NegOp) or producer(op.x, hlt.AbsOp)
    return inner and hlt.AbsOp(inner.x)


@RULES.on(hlt.MaximumOp, hlt.MinimumOp)
def extreme_of_infinity(op: hlt.MaximumOp | hlt.MinimumOp) -> Value | None:
    """The least element bounds nothing from below, the largest nothing from above."""
    if hlt.is_bool(hlt.element_of(op.lhs)):
        return None
    least, most = _range(hlt.element_of(op.lhs))
    return op.lhs if is_splat(op.rhs, least if isinstance(op, hlt.MaximumOp) else most) else None


def _range(element: Attribute) -> tuple[float, float]:
    if hlt.is_float(element):
        return -math.inf, math.inf
    info = np.iinfo(hlt.numpy_dtype(element))
    return int(info.min), int(info.max)


@RULES.on(hlt.MaximumOp, hlt.MinimumOp)
def extreme_of_extreme(op: hlt.MaximumOp | hlt.MinimumOp) -> Value | None:
    """``max(max(x, a), b)`` is ``max(x, max(a, b))``; zeros of different sign are left alone."""
    inner = producer(op.lhs, type(op))
    if inner is None:
        return None
    a, b = splat(inner.rhs), splat(op.rhs)
    if a is None or b is None or (a == b and a.tobytes() != b.tobytes()):
        return None
    joined = np.maximum(a, b) if isinstance(op, hlt.MaximumOp) else np.minimum(a, b)
    return type(op)(inner.lhs, full_like(op.rhs, joined))


@RULES.on(hlt.MaximumOp, hlt.MinimumOp, hlt.AndOp, hlt.OrOp)
def idempotent(op: hlt.BinaryOp) -> Value | None:
    """An operation of ``x`` with ``x`` that yields ``x``."""
    return op.lhs if op.lhs is op.rhs else None


@RULES.on(hlt.AndOp, hlt.OrOp)
def bits_of_constant(op: hlt.AndOp | hlt.OrOp) -> Value | None:
    """All bits, or none: neutral for one of the two, absorbing for the other."""
    value = splat(op.rhs)
    if value is None:
        return None
    if value == 0:
        return op.rhs if isinstance(op, hlt.AndOp) else op.lhs
    if np.invert(value) != 0:
        return None
    return op.lhs if isinstance(op, hlt.AndOp) else op.rhs


# Powers


@RULES.on(hlt.PowOp)
def power_by_constant(op: hlt.PowOp) -> Value | None:
    """Exponents 0, 1, 2, 3, -1, and 1/2 and -1/2 of what can't be negative.

    A cube is two products: up to one unit in the last place off the correctly rounded power.
    """
    exponent = splat(op.rhs)
    if exponent is None:
        return None
    x, power = op.lhs, float(exponent)
    if power in (0.5, -0.5) and _is_float(x) and not may_be_negative(x):
        return hlt.SqrtOp(x) if power == 0.5 else hlt.RsqrtOp(x)
    if power == -1:
        return hlt.ReciprocalOp(x) if _is_float(x) else None
    if power == 0:
        return full_like(op.result, 1)
    return _product(x, int(power)) if power in (1, 2, 3) else None


def _product(x: SSAValue, count: int) -> Value:
    product: Value = x
    for _ in range(count - 1):
        product = hlt.MulOp(product, x)
    return product


_NEVER_NEGATIVE = (hlt.AbsOp, hlt.ExpOp, hlt.SigmoidOp)
_SIGN_OF_OPERANDS = (
    *(hlt.ReshapeOp, hlt.BroadcastOp, hlt.TransposeOp, hlt.SliceOp, hlt.SqrtOp),
    *(hlt.AddOp, hlt.MulOp, hlt.DivOp, hlt.ReduceOp),
)
_DEPTH = 8


def may_be_negative(value: SSAValue, depth: int = _DEPTH) -> bool:
    """Whether an element may be below zero or -0.0, as far as a look at the makers of ``value`` tells."""
    op = value.owner
    if depth == 0 or not isinstance(op, Operation) or type(op) in _NEVER_NEGATIVE:
        return type(op) not in _NEVER_NEGATIVE
    if isinstance(op, hlt.ConstantOp):
        array = constant(value)
        return array is None or bool(np.signbit(array.astype(np.float64)).any())
    if isinstance(op, hlt.MulOp) and op.lhs is op.rhs:
        return False
    if isinstance(op, hlt.ReduceOp) and op.kind not in ("sum", "mean", "max", "min"):
        return True
    if isinstance(op, hlt.ReduceOp) and 0 in hlt.shape_of(op.x):
        return True
    if isinstance(op, _SIGN_OF_OPERANDS):
        return any(may_be_negative(operand, depth - 1) for operand in op.operands)
    return True


# Casts and selects


@RULES.on(hlt.CastOp)
def cast_to_itself(op: hlt.CastOp) -> Value | None:
    return op.x if hlt.element_of(op.x) == op.dtype else None


@RULES.on(hlt.BitcastOp)
def bitcast_of_bitcast(op: hlt.BitcastOp) -> Value | None:
    """The last type counts; bits of the type they had already stay."""
    inner = producer(op.x, hlt.BitcastOp)
    if inner is not None:
        return hlt.BitcastOp(inner.x, op.dtype)
    return op.x if hlt.element_of(op.x) == op.dtype else None


@RULES.on(hlt.CastOp)
def cast_of_cast(op: hlt.CastOp) -> Value | None:
    """A cast that loses nothing, before another cast, is left out."""
    inner = producer(op.x, hlt.CastOp)
    if inner is None or not keeps_values(source := hlt.element_of(inner.x), inner.dtype):
        return None
    # From a float, an integer saturates; from an integer, it wraps.
    through_float = hlt.is_integer(source) and hlt.is_float(inner.dtype) and hlt.is_integer(op.dtype)
    if through_float and not keeps_values(source, op.dtype):
        return None
    return hlt.CastOp(inner.x, op.dtype, saturate=op.saturate)


def keeps_values(source: Attribute, target: Attribute) -> bool:
    """Whether every value of element type ``source`` is one of ``target``."""
    a, b = hlt.numpy_dtype(source), hlt.numpy_dtype(target)
    if hlt.is_narrow(source) or hlt.is_narrow(target):
        return False
    if hlt.is_bool(source):
        return True
    if hlt.is_bool(target) or (hlt.is_float(source) and not hlt.is_float(target)):
        return False
    if hlt.is_float(source):
        return a == b or (b.itemsize > a.itemsize and b.itemsize >= 4)
    if hlt.is_float(target):
        return 8 * a.itemsize - (a.kind == "i") <= {"float64": 53, "float32": 24, "float16": 11}.get(b.name, 8)
    return bool(np.can_cast(a, b, "safe"))


@RULES.on(hlt.SelectOp)
def select_of_known(op: hlt.SelectOp) -> Value | None:
    """The condition is constant, or both branches are the same."""
    if op.on_true is op.on_false:
        return op.on_true
    condition = splat(op.cond)
    if condition is None:
        return None
    return op.on_true if condition else op.on_false


@RULES.on(hlt.SelectOp)
def select_of_booleans(op: hlt.SelectOp) -> Value | None:
    """``select(c, true, false)`` is ``c``; with the branches swapped, its negation."""
    if not hlt.is_bool(hlt.element_of(op.on_true)):
        return None
    if is_splat(op.on_true, 1) and is_splat(op.on_false, 0):
        return op.cond
    return hlt.NotOp(op.cond) if is_splat(op.on_true, 0) and is_splat(op.on_false, 1) else None


@RULES.on(hlt.SelectOp)
def select_of_negation(op: hlt.SelectOp) -> Value | None:
    negation = producer(op.cond, hlt.NotOp)
    return negation and hlt.SelectOp(negation.x, op.on_false, op.on_true)


_INVERSE = {"eq": "ne", "ne": "eq", "lt": "ge", "le": "gt", "gt": "le", "ge": "lt"}


@RULES.on(hlt.NotOp)
def negated_comparison(op: hlt.NotOp) -> Value | None:
    """Order comparisons are inverted on integers only: all of them fail on NaN."""
    inner = producer(op.x, hlt.CompareOp)
    if inner is None or not single_use(inner):
        return None
    if _is_float(inner.lhs) and inner.predicate not in ("eq", "ne"):
        return None
    return hlt.CompareOp(inner.lhs, inner.rhs, predicate=_INVERSE[inner.predicate])
