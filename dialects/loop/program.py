"""The program around kernels: buffers, constants, views and calls, in ``func.func @main``.

    func.func @main(%x: memref<1x64xf32>, %y: memref<1x10xf32>) attributes {inputs = 1} {
      %w = loop.constant #mlc.weight<"fc.weight", "..."> : memref<64x10xf32>
      %b = loop.buffer : memref<1x10xf32>
      loop.call @k0(%x, %w, %b) : ...
      loop.call @k1(%b, %y) : ...
      func.return
    }

The arguments are the model's inputs, then its outputs.
"""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import IntegerAttr, MemRefType, SymbolRefAttr, i32
from xdsl.ir import Attribute, SSAValue
from xdsl.irdl import (
    IRDLOperation,
    ParsePropInAttrDict,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import NoMemoryEffect, Pure
from xdsl.utils.exceptions import VerifyException


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

    %v = loop.view %x at 4096 : memref<1x8x14x14x16xf32> -> memref<1x4x14x14x16xf32>
    """

    name = "loop.view"
    source = operand_def(MemRefType)
    offset = opt_prop_def(IntegerAttr)
    result = result_def(MemRefType)
    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$source (`at` $offset^)? attr-dict `:` type($source) `->` type($result)"

    def verify_(self) -> None:
        source, result = self.source.type, self.result.type
        assert isinstance(source, MemRefType)
        assert isinstance(result, MemRefType)
        smaller = result.element_count() < source.element_count() and self.offset is not None
        if source.element_type != result.element_type or not (smaller or _same_count(source, result)):
            raise VerifyException("[view_elements] a view has elements of its source, all of them without an offset")


def _same_count(a: MemRefType[Attribute], b: MemRefType[Attribute]) -> bool:
    return a.element_count() == b.element_count()


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
