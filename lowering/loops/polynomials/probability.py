"""The error function."""

from __future__ import annotations

from mlc.lowering.loops.polynomials.coefficients import ERF
from mlc.lowering.loops.polynomials.evaluate import clamp, format_of, odd_quotient
from mlc.lowering.scalar import Scalar
from xdsl.ir import SSAValue

_ONE = {"f32": 3.925, "f64": 5.925}
"""From here on erf rounds to one."""


def erf(s: Scalar, x: SSAValue) -> SSAValue:
    """The error function: ``x N(x^2) / D(x^2)`` up to where it rounds to one."""
    name = format_of(x.type).name
    return odd_quotient(s, clamp(s, x, _ONE[name]), *ERF[name])
