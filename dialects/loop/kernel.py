"""loop.kernel: the unit of code generation, and the buffers that are private to it."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import DenseArrayBase, IntegerAttr, MemRefType, SymbolNameConstraint, UnitAttr, i64
from xdsl.ir import BlockArgument, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
)
from xdsl.traits import IsolatedFromAbove, NoMemoryEffect, NoTerminator, Pure, SymbolOpInterface

from mlc.dialects.loop.attrs import DimsAttr, ReachAttr, ScheduleAttr, TableAttr
from mlc.dialects.loop.compute import ComputeOp


@irdl_op_definition
class KernelOp(IRDLOperation):
    """One unit of code generation: buffers in and out, computes that run in order.

    With ``shared``, its loops enclose all computes, which then run tile by tile:

        loop.kernel @softmax shared <"r/4"> { ^bb0(%x: memref<1536x128xf32>, %y: memref<1536x128xf32>): ... }

    ``weights`` numbers the arguments that are constants: those may be packed when the kernel is built. With
    ``checked``, the last argument is a ``memref<1xi32>``: the kernel stores INDEX_RANGE there when a subscript lies
    outside its extent (and goes on with an element inside). ``extents`` is the number of the argument that holds the
    dims of the call, which the limits of its computes depend on.
    """

    name = "loop.kernel"
    sym_name = prop_def(SymbolNameConstraint())
    shared = opt_prop_def(ScheduleAttr)
    weights = opt_prop_def(DenseArrayBase.constr(i64))
    checked = opt_prop_def(UnitAttr)
    extents = opt_prop_def(IntegerAttr)
    body = region_def("single_block")
    traits = traits_def(NoTerminator(), IsolatedFromAbove(), SymbolOpInterface())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$sym_name (`shared` $shared^)? attr-dict-with-keyword $body"

    @property
    def args(self) -> Sequence[SSAValue]:
        """The kernel's buffers, in argument order."""
        return self.body.block.args

    @property
    def constant_args(self) -> tuple[BlockArgument, ...]:
        """The arguments that are known when the kernel is built."""
        if self.weights is None:
            return ()
        return tuple(self.body.block.args[i] for i in self.weights.get_values())

    def computes(self) -> list[ComputeOp]:
        """The computes at the kernel's top level, in order."""
        return [op for op in self.body.block.ops if isinstance(op, ComputeOp)]


@irdl_op_definition
class ScratchOp(IRDLOperation):
    """A small buffer private to the kernel, one tile of it per iteration of the shared loops, or a constant table.

    %s = loop.scratch : memref<12x128xf32>
    %t = loop.scratch table <"1.0 0.0 -1.0"> : memref<3xf32>
    """

    name = "loop.scratch"
    table = opt_prop_def(TableAttr)
    result = result_def(MemRefType)
    traits = traits_def(NoMemoryEffect())
    assembly_format = "(`table` $table^)? attr-dict `:` type($result)"


@irdl_op_definition
class PackOp(IRDLOperation):
    """A buffer rearranged into the order in which a compute reads it.

    ``reach`` addresses the source by the levels of ``schedule`` that the operand depends on; the result's dims are
    those levels in their order, zero where a dim's extent ends. On weights it runs on the host.

        %p = loop.pack %b reach <"0 | n/32:128 k*:3072 n*:64 n@:4"> dims <"n=768 k=768:r"> schedule <...> : ...
    """

    name = "loop.pack"
    source = operand_def(MemRefType)
    reach = prop_def(ReachAttr)
    dims = prop_def(DimsAttr)
    schedule = prop_def(ScheduleAttr)
    result = result_def(MemRefType)
    traits = traits_def(Pure())
    assembly_format = (
        "$source `reach` $reach `dims` $dims `schedule` $schedule attr-dict `:` type($source) `->` type($result)"
    )
