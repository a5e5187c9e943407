"""Scalar regions: a small builder of `arith` and `math` operations on one element.

Half-precision values are computed in f32 and rounded after every operation, as their semantics ask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

from xdsl.dialects import arith, math
from xdsl.dialects.builtin import (
    AnyFloat,
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    FloatAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    UnitAttr,
    f32,
    i1,
    i64,
)
from xdsl.ir import Attribute, Block, Operation, Region, SSAValue

from mlc.dialects.loop import DotOp, IndexOp, LdexpOp, YieldOp

NONPOSITIVE = "nonpositive"
"""Attribute of a `math.exp` whose operand is known to be at most 0."""

BESIDE_ONE = "beside_one"
"""Attribute of a `math.exp` whose result is added to 1: of one that is far smaller than 1, nothing is needed."""

_RANKS: dict[type[Attribute], int] = {Float16Type: 0, BFloat16Type: 0, Float32Type: 1, Float64Type: 2}
"""Which of two float types is the wider one."""


def is_half(element: Attribute) -> bool:
    """Whether the element type computes in f32."""
    return isinstance(element, Float16Type | BFloat16Type)


class Sink(Protocol):
    """Where operations go: a block, or a place inside one."""

    def add_op(self, operation: Operation, /) -> object:
        """Add the next operation."""


class Scalar:
    """Appends operations on scalars to a block; every method returns the result."""

    def __init__(self, sink: Sink) -> None:
        self.sink = sink

    def op(self, cls: type[Operation], operands: Sequence[SSAValue], result: Attribute) -> SSAValue:
        """Any operation with one result."""
        made = cls.create(operands=operands, result_types=[result])
        self.sink.add_op(made)
        return made.results[0]

    def constant(self, value: float, element: Attribute) -> SSAValue:
        """A constant of the element type."""
        if isinstance(element, IntegerType):
            width = element.width.data
            number = int(value) & ((1 << width) - 1)
            if width > 1 and number >> (width - 1):
                number -= 1 << width
            attr: Attribute = IntegerAttr(number, element)
        else:
            assert isinstance(element, AnyFloat)
            attr = FloatAttr(float(value), element)
        made = arith.ConstantOp.create(properties={"value": attr}, result_types=[element])
        self.sink.add_op(made)
        return made.results[0]

    def index(self, dim: str, element: Attribute = i64) -> SSAValue:
        """The current value of a dim."""
        made = IndexOp.create(properties={"dim": StringAttr(dim)}, result_types=[element])
        self.sink.add_op(made)
        return made.results[0]

    # --- arithmetic on floats (half precision through f32) and integers

    def _arith(self, float_op: type[Operation], int_op: type[Operation] | None, *args: SSAValue) -> SSAValue:
        element = args[0].type
        if is_half(element):
            wide = [self.widen(a) for a in args]
            return self.narrow(self.op(float_op, wide, f32), element)
        if type(element) in _RANKS:
            return self.op(float_op, args, element)
        assert int_op is not None
        return self.op(int_op, args, element)

    def widen(self, x: SSAValue) -> SSAValue:
        """A half-precision value in f32; others unchanged."""
        return self.op(arith.ExtFOp, [x], f32) if is_half(x.type) else x

    def narrow(self, x: SSAValue, element: Attribute) -> SSAValue:
        """An f32 value rounded to a half-precision type; others unchanged."""
        return self.op(arith.TruncFOp, [x], element) if is_half(element) and x.type != element else x

    def add(self, a: SSAValue, b: SSAValue) -> SSAValue:
        """``a + b``; integers wrap."""
        return self._arith(arith.AddfOp, arith.AddiOp, a, b)

    def sub(self, a: SSAValue, b: SSAValue) -> SSAValue:
        """``a - b``; integers wrap."""
        return self._arith(arith.SubfOp, arith.SubiOp, a, b)

    def mul(self, a: SSAValue, b: SSAValue) -> SSAValue:
        """``a * b``; integers wrap."""
        return self._arith(arith.MulfOp, arith.MuliOp, a, b)

    def div(self, a: SSAValue, b: SSAValue, *, unsigned: bool = False) -> SSAValue:
        """``a / b``; integers truncate."""
        return self._arith(arith.DivfOp, arith.DivUIOp if unsigned else arith.DivSIOp, a, b)

    def maximum(self, a: SSAValue, b: SSAValue, *, unsigned: bool = False) -> SSAValue:
        """NaN propagates."""
        return self._arith(arith.MaximumfOp, arith.MaxUIOp if unsigned else arith.MaxSIOp, a, b)

    def minimum(self, a: SSAValue, b: SSAValue, *, unsigned: bool = False) -> SSAValue:
        """NaN propagates."""
        return self._arith(arith.MinimumfOp, arith.MinUIOp if unsigned else arith.MinSIOp, a, b)

    def max_number(self, a: SSAValue, b: SSAValue) -> SSAValue:
        """Maximum of floats that are no NaN, one instruction on most machines."""
        return self._arith(arith.MaxnumfOp, arith.MaxSIOp, a, b)

    def neg(self, x: SSAValue) -> SSAValue:
        """``-x``"""
        if isinstance(x.type, IntegerType):
            return self.sub(self.constant(0, x.type), x)
        return self._arith(arith.NegfOp, None, x)

    def unary(self, cls: type[Operation], x: SSAValue) -> SSAValue:
        """A float function of one operand."""
        return self._arith(cls, None, x)

    def binary(self, cls: type[Operation], a: SSAValue, b: SSAValue) -> SSAValue:
        """A float function of two operands."""
        return self._arith(cls, None, a, b)

    def fma(self, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
        """``a * b + c``, rounded once."""
        return self.op(math.FmaOp, [a, b, c], a.type)

    def ldexp(self, p: SSAValue, n: SSAValue, within: tuple[int, int] | None = None) -> SSAValue:
        """``p * 2**n`` for an integral float ``n``, which is ``within`` two numbers if they are given; see the op."""
        made = LdexpOp(p, n, within)
        self.sink.add_op(made)
        return made.result

    def dot(self, parts: str, a: SSAValue, b: SSAValue, c: SSAValue) -> SSAValue:
        """``c`` plus the products of the parts of two words of i32."""
        made = DotOp.create(operands=[a, b, c], result_types=[c.type], properties={"parts": StringAttr(parts)})
        self.sink.add_op(made)
        return made.result

    def exp(self, x: SSAValue, fact: str) -> SSAValue:
        """``e**x``, and what is known of it: `NONPOSITIVE` or `BESIDE_ONE`."""
        wide = self.widen(x)
        made = math.ExpOp.create(operands=[wide], result_types=[wide.type], attributes={fact: UnitAttr()})
        self.sink.add_op(made)
        return self.narrow(made.results[0], x.type)

    # --- comparison, selection, conversion

    def compare(self, predicate: str, a: SSAValue, b: SSAValue, *, unsigned: bool = False) -> SSAValue:
        """``eq ne lt le gt ge``; floats are ordered, except ``ne``."""
        if isinstance(a.type, IntegerType):
            name = predicate if predicate in ("eq", "ne") else ("u" if unsigned else "s") + predicate
            made: Operation = arith.CmpiOp(a, b, name)
        else:
            name = "une" if predicate == "ne" else "o" + predicate
            made = arith.CmpfOp(self.widen(a), self.widen(b), name)
        self.sink.add_op(made)
        return made.results[0]

    def is_nan(self, x: SSAValue) -> SSAValue:
        """Whether a float is NaN, an i1."""
        wide = self.widen(x)
        made = arith.CmpfOp(wide, wide, "uno")
        self.sink.add_op(made)
        return made.results[0]

    def select(self, condition: SSAValue, a: SSAValue, b: SSAValue) -> SSAValue:
        """``a`` where the i1 holds, else ``b``."""
        return self.op(arith.SelectOp, [condition, a, b], a.type)

    def logical_not(self, x: SSAValue) -> SSAValue:
        """The other value of an i1."""
        return self.op(arith.XOrIOp, [x, self.constant(1, i1)], i1)

    def cast(self, x: SSAValue, to: Attribute, *, from_unsigned: bool = False, to_unsigned: bool = False) -> SSAValue:
        """Numeric conversion: to bool is ``!= 0``; float to integer truncates and saturates."""
        source = x.type
        if source == to:
            return x
        if to == i1:
            return self.compare("ne", x, self.constant(0, source))
        if isinstance(source, IntegerType):
            return self._from_integer(x, source, to, from_unsigned or source == i1)
        if isinstance(to, IntegerType):
            wide = self.widen(x)
            return self.op(arith.FPToUIOp if to_unsigned else arith.FPToSIOp, [wide], to)
        return self._float_to_float(x, to)

    def _from_integer(self, x: SSAValue, source: IntegerType, to: Attribute, unsigned: bool) -> SSAValue:
        if not isinstance(to, IntegerType):
            middle = f32 if is_half(to) else to
            return self.narrow(self.op(arith.UIToFPOp if unsigned else arith.SIToFPOp, [x], middle), to)
        if to.width.data < source.width.data:
            return self.op(arith.TruncIOp, [x], to)
        return self.op(arith.ExtUIOp if unsigned else arith.ExtSIOp, [x], to)

    def _float_to_float(self, x: SSAValue, to: Attribute) -> SSAValue:
        source_rank, rank = _RANKS[type(x.type)], _RANKS[type(to)]
        if source_rank == rank:
            return self.narrow(self.widen(x), to)
        return self.op(arith.ExtFOp if rank > source_rank else arith.TruncFOp, [x], to)


Values: TypeAlias = SSAValue | Sequence[SSAValue]
Body: TypeAlias = (
    Callable[[Scalar], Values]
    | Callable[[Scalar, SSAValue], Values]
    | Callable[[Scalar, SSAValue, SSAValue], Values]
    | Callable[[Scalar, SSAValue, SSAValue, SSAValue], Values]
    | Callable[[Scalar, SSAValue, SSAValue, SSAValue, SSAValue], Values]
    | Callable[[Scalar, *tuple[SSAValue, ...]], Values]
)
"""Builds a region's code: called with a `Scalar` and the block's arguments; returns what the region yields.

Spelled out by number of arguments, so that type checkers know the parameters of a lambda.
"""


def region(types: Sequence[Attribute], body: Body) -> Region:
    """A region with arguments of ``types`` whose code ``body`` builds."""
    block = Block(arg_types=types)
    result = body(Scalar(block), *block.args)
    values = [result] if isinstance(result, SSAValue) else list(result)
    block.add_op(YieldOp.of(*values))
    return Region(block)


def last(s: Scalar, *args: SSAValue) -> SSAValue:
    """The body that yields its last argument: a finish that returns the accumulator as it is."""
    return args[-1]
