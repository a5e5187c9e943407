"""Products of small integers, several of which make one 32-bit word: what dot-product instructions take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from xdsl.dialects.builtin import IntegerType, TensorType, i32
from xdsl.irdl import operand_def, result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.contraction import window_extents
from mlc.dialects.hlt.dtypes import tensor_type
from mlc.dialects.hlt.fields import Enum, Ints, fail
from mlc.dialects.hlt.shape import check_length, check_minimum
from mlc.dialects.parts import PARTS, WORD


@hlt_op
class WordsOp(HltOp):
    """The bytes along the last dim, four at a time, as i32: the first are the lowest bits.

    ``%1 = hlt.words %0 : (tensor<2x8xui8>) -> tensor<2x2xi32>``
    """

    name = "hlt.words"
    MOVES: ClassVar[bool] = True

    x = operand_def(TENSOR)
    result = result_def(TENSOR)

    def __init__(self, x: Value) -> None:
        super().__init__((x,))

    def infer(self) -> tuple[TensorType, ...]:
        """[words_element] integers of 8 or 16 bits; [words_whole] they fill words along the last dim."""
        shape, element = tensor(self.x)
        if not isinstance(element, IntegerType) or element.width.data not in (8, 16):
            raise fail("words_element", f"{element} does not make words; integers of 8 or 16 bits do")
        count = WORD // element.width.data
        if not shape or shape[-1] % count:
            raise fail("words_whole", f"{list(shape)} of {element} does not end in whole words of {count}")
        return (tensor_type((*shape[:-1], shape[-1] // count), i32),)


@hlt_op
class DotWordsOp(HltOp):
    """``x: [*, K]`` times ``w: [K, N]``, words of ``parts``, whose products are summed in i32, which wraps.

    ```
    %2 = hlt.dot_words %0, %1 <parts = "u8i8"> : (tensor<2x4xi32>, tensor<4x8xi32>) -> tensor<2x8xi32>
    ```
    """

    name = "hlt.dot_words"

    x = operand_def(TENSOR)
    w = operand_def(TENSOR)
    parts = Enum(*PARTS)
    result = result_def(TENSOR)

    def __init__(self, x: Value, w: Value, *, parts: str) -> None:
        super().__init__((x, w), parts=parts)

    def infer(self) -> tuple[TensorType, ...]:
        """[words_operand] operands are i32; [dot_words_shape] ``w`` is a matrix of K rows."""
        x, w = tensor(self.x), tensor(self.w)
        _check_words(self.name, x, w)
        if not x.rank or w.rank != 2 or x.shape[-1] != w.shape[0]:
            raise fail("dot_words_shape", f"{list(x.shape)} and {list(w.shape)} have no product")
        return (tensor_type((*x.shape[:-1], w.shape[1]), i32),)


@hlt_op
class ConvWordsOp(HltOp):
    """Cross-correlation of ``x: [N, *S, C]`` with ``w: [*K, C, Co]``, words of ``parts``, summed in i32, which wraps.

    ```
    %2 = hlt.conv_words %0, %1 <strides = [1], dilations = [1], parts = "u8i8">
        : (tensor<1x8x4xi32>, tensor<3x4x16xi32>) -> tensor<1x6x16xi32>
    ```
    """

    name = "hlt.conv_words"

    x = operand_def(TENSOR)
    w = operand_def(TENSOR)
    strides = Ints()
    dilations = Ints()
    parts = Enum(*PARTS)
    result = result_def(TENSOR)

    def __init__(self, x: Value, w: Value, *, strides: Sequence[int], dilations: Sequence[int], parts: str) -> None:
        super().__init__((x, w), strides=tuple(strides), dilations=tuple(dilations), parts=parts)

    def infer(self) -> tuple[TensorType, ...]:
        """[words_operand]; [conv_words_shape] one rank, a window, and C in common; lengths and least values."""
        x, w = tensor(self.x), tensor(self.w)
        _check_words(self.name, x, w)
        window = w.shape[:-2]
        if x.rank < 3 or w.rank != x.rank or x.shape[-1] != w.shape[-2] or min(window, default=0) < 1:
            raise fail("conv_words_shape", f"{list(w.shape)} is no kernel for {list(x.shape)}")
        for name, values in (("strides", self.strides), ("dilations", self.dilations)):
            check_length(name, values, x.rank - 2)
            check_minimum(name, values, 1)
        none = (0,) * len(window)
        space = window_extents(x.shape[1:-1], window, self.strides, self.dilations, none, none)
        return (tensor_type((x.shape[0], *space, w.shape[-1]), i32),)


def _check_words(name: str, x: Tensor, w: Tensor) -> None:
    for operand in (x, w):
        if operand.element != i32:
            raise fail("words_operand", f"{name} takes words of i32, not {operand.element}")
