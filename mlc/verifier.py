"""Whether a module is valid IR: each operation's own rules, and definitions before uses.

xDSL checks the former only; a use above its definition parses and verifies there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.ir import Operation, Region, SSAValue


def verify(module: ModuleOp) -> None:
    """Raise ``VerifyException`` for the first rule that ``module`` breaks."""
    module.verify()
    _verify_order(module, set())


def _verify_order(op: Operation, visible: set[SSAValue]) -> None:
    """Check the operations inside ``op``, where ``visible`` values may be used; the set is left as it was."""
    for region in op.regions:
        added: list[SSAValue] = []
        # Blocks that branch to one another see each other's values; which of them dominates is not looked at.
        if len(region.blocks) > 1:
            added += _defined_in(region)
            visible.update(added)
        for block in region.blocks:
            visible.update(block.args)
            added += block.args
            for inner in block.ops:
                _verify_operands(inner, visible)
                _verify_order(inner, visible)
                visible.update(inner.results)
                added += inner.results
        visible.difference_update(added)


def _defined_in(region: Region) -> list[SSAValue]:
    return [value for block in region.blocks for value in (*block.args, *(r for op in block.ops for r in op.results))]


def _verify_operands(op: Operation, visible: set[SSAValue]) -> None:
    for index, operand in enumerate(op.operands):
        if operand not in visible:
            from xdsl.utils.exceptions import VerifyException

            name = f" %{operand.name_hint}" if operand.name_hint else ""
            raise VerifyException(
                f"operand {index}{name} of {op.name} is used before it is defined, or out of its reach"
            )
