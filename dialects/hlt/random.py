"""Random numbers: a counter-based generator, so that every element can be made by itself."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.irdl import result_def

from mlc.dialects.hlt.base import TENSOR, HltOp, hlt_op
from mlc.dialects.hlt.dtypes import tensor_type, ui32
from mlc.dialects.hlt.fields import Int
from mlc.dialects.hlt.shape import check_minimum

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
WEYL = (0x9E3779B9, 0xBB67AE85)
"""Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random numbers: as easy as 1, 2, 3", 2011."""


@hlt_op
class RandomBitsOp(HltOp):
    """Column ``i`` is Philox4x32-10 of the counter ``(i, i >> 32, stream, stream >> 32)`` under the key ``seed``.

    ``seed`` and ``stream`` are 64 bits, the low half first. Equal attributes give equal numbers, in every run.

    ``%0 = hlt.random_bits <count = 5, seed = 42, stream = 0> : tensor<4x5xui32>``
    """

    name = "hlt.random_bits"

    count = Int()
    seed = Int()
    stream = Int()
    result = result_def(TENSOR)

    def __init__(self, *, count: int, seed: int, stream: int = 0) -> None:
        super().__init__((), count=count, seed=seed, stream=stream)

    def infer(self) -> tuple[TensorType, ...]:
        """[attribute_minimum] ``count`` is not negative."""
        check_minimum("count", (self.count,), 0)
        return (tensor_type((4, self.count), ui32),)
