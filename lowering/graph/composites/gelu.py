"""GELU: ``x * (1 + erf(x / sqrt(2))) / 2`` and its tanh form, however the factors are put together."""

from __future__ import annotations

import math

from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt import Value
from mlc.lowering.graph.composites.matching import Product, either_order, near, number, product_of, require
from mlc.lowering.graph.match import is_splat, producer

_CUBIC = 0.044715


def gelu(op: hlt.MulOp) -> Value | None:
    """``hlt.gelu`` for a product of ``x``, 1/2 and ``1 + erf(x / sqrt(2))`` or ``1 + tanh(...)``."""
    product = product_of(op.result)
    curves = [factor for factor in product.factors if _argument(factor) is not None]
    if len(curves) != 1 or len(product.factors) != 2:
        return None
    argument = _argument(curves[0])
    assert argument is not None, "curves have one"
    (x,) = (factor for factor in product.factors if factor is not curves[0])
    if isinstance(argument.owner, hlt.ErfOp):
        matched = _is_scaled(argument.owner.x, x, math.sqrt(0.5))
        approximate = "none"
    else:
        assert isinstance(argument.owner, hlt.TanhOp), "curves are of erf or tanh"
        matched = _is_tanh_argument(argument.owner.x, x)
        approximate = "tanh"
    require(matched, "the curve's argument is not made of the other factor")
    require(near(product.constant, 0.5), f"the constant factor is {product.constant}, not 0.5")
    return hlt.GeluOp(x, approximate=approximate)


def _argument(value: SSAValue) -> SSAValue | None:
    """``erf(..)`` or ``tanh(..)`` if ``value`` is 1 more than that."""
    add = producer(value, hlt.AddOp)
    if add is None:
        return None
    for curve, one in either_order(add):
        if is_splat(one, 1) and isinstance(curve.owner, hlt.ErfOp | hlt.TanhOp):
            return curve
    return None


def _is_scaled(value: SSAValue, x: SSAValue, factor: float) -> bool:
    product = product_of(value, root=False)
    return product.factors == (x,) and near(product.constant, factor)


def _is_tanh_argument(value: SSAValue, x: SSAValue) -> bool:
    """``sqrt(2 / pi) * (x + 0.044715 x^3)``, or with ``x`` drawn out of the sum."""
    product = product_of(value, root=False)
    if not near(product.constant, math.sqrt(2 / math.pi)):
        return False
    sums = [factor for factor in product.factors if isinstance(factor.owner, hlt.AddOp)]
    if len(sums) != 1:
        return False
    others = tuple(factor for factor in product.factors if factor is not sums[0])
    assert isinstance(sums[0].owner, hlt.AddOp), "sums are"
    if others == (x,):
        return any(is_splat(a, 1) and _is_power(b, x, 2) for a, b in either_order(sums[0].owner))
    return not others and any(a is x and _is_power(b, x, 3) for a, b in either_order(sums[0].owner))


def _is_power(value: SSAValue, x: SSAValue, exponent: int) -> bool:
    """``0.044715 * x ** exponent``."""
    constant, factors = product_of(value, root=False)
    expanded: list[SSAValue] = []
    for factor in factors:
        power = producer(factor, hlt.PowOp)
        times = number(power.rhs) if power is not None else None
        if power is not None and times == int(times or 0):
            expanded += [power.lhs] * int(times or 0)
        else:
            expanded += _squares(factor)
    return near(constant, _CUBIC) and len(expanded) == exponent and all(factor is x for factor in expanded)


def _squares(factor: SSAValue) -> tuple[SSAValue, ...]:
    """The factors of a product that other operations use as well."""
    inner: Product = product_of(factor)
    return inner.factors if inner.constant == 1.0 else (factor,)
