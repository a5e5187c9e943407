"""Mathematical functions of one float tensor."""

from __future__ import annotations

from mlc.dialects.hlt.base import hlt_op
from mlc.dialects.hlt.elementwise import UnaryOp


@hlt_op
class FloorOp(UnaryOp):
    """The largest integral value that is not above x. ``%1 = hlt.floor %0 : tensor<2x3xf32>``"""

    name = "hlt.floor"


@hlt_op
class CeilOp(UnaryOp):
    """The least integral value that is not below x. ``%1 = hlt.ceil %0 : tensor<2x3xf32>``"""

    name = "hlt.ceil"


@hlt_op
class RoundOp(UnaryOp):
    """The nearest integral value, halves to even. ``%1 = hlt.round %0 : tensor<2x3xf32>``"""

    name = "hlt.round"


@hlt_op
class SqrtOp(UnaryOp):
    """Square root. ``%1 = hlt.sqrt %0 : tensor<2x3xf32>``"""

    name = "hlt.sqrt"


@hlt_op
class RsqrtOp(UnaryOp):
    """1 / sqrt(x). ``%1 = hlt.rsqrt %0 : tensor<2x3xf32>``"""

    name = "hlt.rsqrt"


@hlt_op
class ReciprocalOp(UnaryOp):
    """1 / x. ``%1 = hlt.reciprocal %0 : tensor<2x3xf32>``"""

    name = "hlt.reciprocal"


@hlt_op
class ExpOp(UnaryOp):
    """e to the power of x. ``%1 = hlt.exp %0 : tensor<2x3xf32>``"""

    name = "hlt.exp"


@hlt_op
class LogOp(UnaryOp):
    """Natural logarithm. ``%1 = hlt.log %0 : tensor<2x3xf32>``"""

    name = "hlt.log"


@hlt_op
class SinOp(UnaryOp):
    """Sine. ``%1 = hlt.sin %0 : tensor<2x3xf32>``"""

    name = "hlt.sin"


@hlt_op
class CosOp(UnaryOp):
    """Cosine. ``%1 = hlt.cos %0 : tensor<2x3xf32>``"""

    name = "hlt.cos"


@hlt_op
class TanOp(UnaryOp):
    """Tangent. ``%1 = hlt.tan %0 : tensor<2x3xf32>``"""

    name = "hlt.tan"


@hlt_op
class AsinOp(UnaryOp):
    """Inverse sine. ``%1 = hlt.asin %0 : tensor<2x3xf32>``"""

    name = "hlt.asin"


@hlt_op
class AcosOp(UnaryOp):
    """Inverse cosine. ``%1 = hlt.acos %0 : tensor<2x3xf32>``"""

    name = "hlt.acos"


@hlt_op
class AtanOp(UnaryOp):
    """Inverse tangent. ``%1 = hlt.atan %0 : tensor<2x3xf32>``"""

    name = "hlt.atan"


@hlt_op
class SinhOp(UnaryOp):
    """Hyperbolic sine. ``%1 = hlt.sinh %0 : tensor<2x3xf32>``"""

    name = "hlt.sinh"


@hlt_op
class CoshOp(UnaryOp):
    """Hyperbolic cosine. ``%1 = hlt.cosh %0 : tensor<2x3xf32>``"""

    name = "hlt.cosh"


@hlt_op
class TanhOp(UnaryOp):
    """Hyperbolic tangent. ``%1 = hlt.tanh %0 : tensor<2x3xf32>``"""

    name = "hlt.tanh"


@hlt_op
class AsinhOp(UnaryOp):
    """Inverse hyperbolic sine. ``%1 = hlt.asinh %0 : tensor<2x3xf32>``"""

    name = "hlt.asinh"


@hlt_op
class AcoshOp(UnaryOp):
    """Inverse hyperbolic cosine. ``%1 = hlt.acosh %0 : tensor<2x3xf32>``"""

    name = "hlt.acosh"


@hlt_op
class AtanhOp(UnaryOp):
    """Inverse hyperbolic tangent. ``%1 = hlt.atanh %0 : tensor<2x3xf32>``"""

    name = "hlt.atanh"


@hlt_op
class ErfOp(UnaryOp):
    """Error function. ``%1 = hlt.erf %0 : tensor<2x3xf32>``"""

    name = "hlt.erf"
