"""Scaled dot-product attention."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType, i1
from xdsl.irdl import operand_def, opt_operand_def, result_def

from mlc.dialects.hlt.base import OPTIONAL_OPERANDS, TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import is_float, tensor_type
from mlc.dialects.hlt.elementwise import require, same_element_type
from mlc.dialects.hlt.fields import Bool, Float, fail


@hlt_op
class AttentionOp(HltOp):
    """``softmax(q k^T * scale + mask) v`` per batch and head.

    ``q: [B, H, M, D]``, ``k: [B, H, N, D]``, ``v: [B, H, N, E]``, and ``mask`` of rank 4 whose extents are 1
    or those of ``[B, H, M, N]``. ``causal`` hides key ``j`` from query ``i`` when ``j > i + N - M``: the last
    query sees all. A query that sees no key (every score is -inf) yields 0.

    ``visible``, booleans of such a shape, hides keys as well. The mask is a term of the scores, in which NaN stays
    NaN; a key that is not visible has the score -inf whatever ``q``, ``k`` and ``mask`` hold for it, and so the weight
    0. Its value is still multiplied by that: in ``v``, there must be a finite number.

    ```
    %4 = hlt.attention %0, %1, %2, mask = %3 <scale = 0.125, causal = false>
        : (tensor<1x2x5x64xf32>, tensor<1x2x7x64xf32>, tensor<1x2x7x64xf32>, tensor<1x1x5x7xf32>)
        -> tensor<1x2x5x64xf32>
    ```
    """

    name = "hlt.attention"
    irdl_options = OPTIONAL_OPERANDS

    q = operand_def(TENSOR)
    k = operand_def(TENSOR)
    v = operand_def(TENSOR)
    mask = opt_operand_def(TENSOR)
    visible = opt_operand_def(TENSOR)
    scale = Float()
    causal = Bool()
    result = result_def(TENSOR)

    def __init__(
        self,
        q: Value,
        k: Value,
        v: Value,
        mask: Value | None = None,
        visible: Value | None = None,
        *,
        scale: float,
        causal: bool = False,
    ) -> None:
        super().__init__((q, k, v, mask, visible), scale=scale, causal=causal)

    def infer(self) -> tuple[TensorType, ...]:
        """[attention_rank] 4; [attention_shape]; [mask_shape], [visible_element_type]; [float_element_type],
        [same_element_type].
        """
        q, k, v = tensor(self.q), tensor(self.k), tensor(self.v)
        require(self.name, is_float, q)
        same_element_type(self.name, q, k, v)
        if any(x.rank != 4 for x in (q, k, v)):
            raise fail("attention_rank", f"q, k, v have ranks {q.rank}, {k.rank}, {v.rank}; all must be 4")
        batch, heads, queries, depth = q.shape
        keys = k.shape[2]
        if k.shape != (batch, heads, keys, depth) or v.shape[:3] != (batch, heads, keys):
            raise fail("attention_shape", f"k {k.shape} and v {v.shape} don't go with q {q.shape}")
        scores = (batch, heads, queries, keys)
        if self.mask is not None:
            same_element_type(self.name, q, tensor(self.mask))
            _check_mask("mask", tensor(self.mask), scores)
        if self.visible is not None:
            if tensor(self.visible).element != i1:
                raise fail("visible_element_type", f"visible is of {tensor(self.visible).element}, must be i1")
            _check_mask("visible", tensor(self.visible), scores)
        return (tensor_type((*q.shape[:3], v.shape[3]), q.element),)


def _check_mask(name: str, mask: Tensor, scores: tuple[int, ...]) -> None:
    if mask.rank != 4 or any(extent not in (1, full) for extent, full in zip(mask.shape, scores)):
        raise fail("mask_shape", f"{name} {mask.shape} doesn't broadcast to {scores}")
