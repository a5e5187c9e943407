"""The program around kernels: buffers, constants, views and calls, in ``func.func @main``.

    func.func @main(%x: memref<1x64xf32>, %y: memref<1x10xf32>) attributes {inputs = 1} {
      %w = loop.constant #mlc.weight<"fc.weight", "..."> : memref<64x10xf32>
      %b = loop.buffer : memref<1x10xf32>
      loop.call @k0(%x, %w, %b) : ...
      loop.call @k1(%b, %y) : ...
      func.return
    }

The arguments are the model's inputs, then its outputs. Control flow stands around calls: ``loop.if`` and
``loop.repeat`` read what decides from memory.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, IntegerType, MemRefType, SymbolRefAttr, i1, i32, i64
from xdsl.ir import Attribute, Block, BlockArgument, OpResult, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.traits import NoMemoryEffect, NoTerminator, Pure
from xdsl.utils.exceptions import VerifyException

COUNTER = MemRefType(i64, [])
"""The type of a loop's counter."""


@irdl_op_definition
class ConstantOp(IRDLOperation):
    """A constant in the weights file: a reference to the weight store, or a few elements in line."""

    name = "loop.constant"
    value = prop_def(Attribute)
    result = result_def(MemRefType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$value attr-dict `:` type($result)"


@irdl_op_definition
class BufferOp(IRDLOperation):
    """Memory for an intermediate tensor; ``offset`` is its place in the arena, in bytes, once it is planned."""

    name = "loop.buffer"
    offset = opt_prop_def(IntegerAttr)
    result = result_def(MemRefType)
    traits = traits_def(NoMemoryEffect())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "(`at` $offset^)? attr-dict `:` type($result)"


@irdl_op_definition
class ViewOp(IRDLOperation):
    """The same memory, or a dense part of it from byte ``offset`` on, under another shape.

    All of a buffer of integers may also be seen as wider or narrower ones.

    %v = loop.view %x at 4096 : memref<1x8x14x14x16xf32> -> memref<1x4x14x14x16xf32>

    With ``index``, a loop's counter, the part lies ``step`` bytes further in every iteration:

    %v = loop.view %x at 0 step 64 of %i : memref<i64> in memref<5x16xf32> -> memref<16xf32>
    """

    name = "loop.view"
    source = operand_def(MemRefType)
    offset = opt_prop_def(IntegerAttr)
    step = opt_prop_def(IntegerAttr)
    index = opt_operand_def(COUNTER)
    result = result_def(MemRefType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$source (`at` $offset^)? (`step` $step^)? (`of` $index^)? attr-dict `:` type($source) `->` type($result)"
    )

    def verify_(self) -> None:
        if (self.step is None) != (self.index is None):
            raise VerifyException("[view_step] a view moves by a step of a counter")
        source, result = self.source.type, self.result.type
        assert isinstance(source, MemRefType)
        assert isinstance(result, MemRefType)
        if not (_is_part(result, source) and self.offset is not None) and not _is_same(source, result):
            raise VerifyException("[view_elements] a view has elements of its source, all of them without an offset")


def _is_part(part: MemRefType[Attribute], whole: MemRefType[Attribute]) -> bool:
    """Whether one buffer has fewer elements than another, of the same type."""
    return part.element_type == whole.element_type and part.element_count() < whole.element_count()


def _is_same(a: MemRefType[Attribute], b: MemRefType[Attribute]) -> bool:
    """Whether two buffers have the same elements, or integers of the same number of bits."""
    if a.element_type == b.element_type:
        return a.element_count() == b.element_count()
    kinds = (a.element_type, b.element_type)
    bits = [t.width.data * m.element_count() for t, m in zip(kinds, (a, b)) if isinstance(t, IntegerType) and t != i1]
    return len(bits) == 2 and bits[0] == bits[1]


@irdl_op_definition
class StatusOp(IRDLOperation):
    """The call's status word: kernels that check at run time store a code other than 0 there.

    %s = loop.status : memref<1xi32>
    """

    name = "loop.status"
    result = result_def(MemRefType)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "attr-dict `:` type($result)"


STATUS = MemRefType(i32, [1])
"""The type of the status word."""


@irdl_op_definition
class CallOp(IRDLOperation):
    """Runs a kernel on buffers: ``loop.call @k0(%x, %w, %y) : memref<...>, memref<...>, memref<...>``."""

    name = "loop.call"
    callee = prop_def(SymbolRefAttr)
    args = var_operand_def(MemRefType)
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$callee `(` ($args^ `:` type($args))? `)` attr-dict"

    @classmethod
    def make(cls, callee: str, args: Sequence[SSAValue]) -> CallOp:
        """A call of the kernel ``callee``."""
        return cls.create(operands=args, properties={"callee": SymbolRefAttr(callee)})

    @property
    def kernel(self) -> str:
        """The kernel's name."""
        return self.callee.root_reference.data


@irdl_op_definition
class IfOp(IRDLOperation):
    """Runs one region or the other, as one truth value in memory says.

    loop.if %c : memref<i1> { loop.call @k0(%x, %y) : ... } else { loop.call @k1(%x, %y) : ... }
    """

    name = "loop.if"
    condition = operand_def(MemRefType(i1, []))
    on_true = region_def("single_block")
    on_false = region_def("single_block")
    traits = traits_def(NoTerminator())
    assembly_format = "$condition $on_true `else` $on_false attr-dict"

    @classmethod
    def make(cls, condition: SSAValue, on_true: Block, on_false: Block) -> IfOp:
        """A choice between two blocks."""
        return cls.create(operands=[condition], regions=[Region(on_true), Region(on_false)])


@irdl_op_definition
class RepeatOp(IRDLOperation):
    """Runs its body less than ``limit`` times, less than ``trips`` says, and as long as ``keep`` holds.

    ``trips`` and ``keep`` are memory, read before every iteration. The body's first argument is the counter, which
    every thread has for itself. What iterations hand on lies in two places in turn: of each pair of ``places``, the
    body reads the one and writes the other; they change roles between iterations. The results are the places written
    last, or the first ones if the body did not run.

    %r = loop.repeat limit 9 carry(%a, %b : memref<4xf32>, memref<4xf32>) -> (memref<4xf32>) {
    ^bb0(%i: memref<i64>, %now: memref<4xf32>, %next: memref<4xf32>):
      loop.call @k0(%now, %next) : ...
    }
    """

    name = "loop.repeat"
    limit = opt_prop_def(IntegerAttr)
    trips = opt_operand_def(COUNTER)
    keep = opt_operand_def(MemRefType(i1, []))
    places = var_operand_def(MemRefType)
    res = var_result_def(MemRefType)
    body = region_def("single_block")
    traits = traits_def(NoTerminator())
    irdl_options = (AttrSizedOperandSegments(as_property=True), ParsePropInAttrDict())
    assembly_format = (
        "(`limit` $limit^)? (`trips` $trips^)? (`while` $keep^)?"
        " (`carry` `(` $places^ `:` type($places) `)` `->` `(` type($res) `)`)? $body attr-dict"
    )

    @classmethod
    def make(
        cls,
        body: Block,
        *,
        limit: int | None,
        trips: SSAValue | None,
        keep: SSAValue | None,
        places: Sequence[SSAValue],
    ) -> RepeatOp:
        """A loop around ``body``; ``places`` are pairs, one after the other."""
        bounds = [[] if value is None else [value] for value in (trips, keep)]
        return cls(
            operands=[*bounds, list(places)],
            result_types=[[value.type for value in places[::2]]],
            properties={} if limit is None else {"limit": IntegerAttr(limit, i64)},
            regions=[Region(body)],
        )

    @property
    def counter(self) -> BlockArgument:
        """The iteration's number, inside the body."""
        return self.body.block.args[0]

    def pair_of(self, value: SSAValue) -> Sequence[SSAValue]:
        """The two places that a result, or an argument of the body but the counter, may stand for."""
        if isinstance(value, BlockArgument):
            number = (value.index - 1) // 2
        else:
            assert isinstance(value, OpResult), "a loop's value is an argument or a result"
            number = value.index
        return self.places[2 * number : 2 * number + 2]

    def verify_(self) -> None:
        if self.limit is None and self.trips is None and self.keep is None:
            raise VerifyException("[repeat_bound] nothing ends the loop")
        types = [value.type for value in self.places]
        if types[::2] != types[1::2] or types[::2] != list(self.result_types):
            raise VerifyException("[repeat_places] places come in pairs of a result's type")
        if list(self.body.block.arg_types) != [COUNTER, *types]:
            raise VerifyException("[repeat_arguments] the body takes the counter and the places")
