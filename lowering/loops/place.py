"""Where code stands in a nest, and how many tiles a loop there has when a dim may end early."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from xdsl.dialects.builtin import IndexType
from xdsl.ir import Block, Operation, SSAValue

from mlc.dialects.loop import Amount, ComputeOp, ExtentOp, KernelOp, Tiles, TripsOp
from mlc.lowering.loops.levels import Run, Span


class Position(NamedTuple):
    """Where a loop level stands: the tiles before this run, its step, and the induction variable if it loops."""

    key: str
    dim: str
    start: int
    step: int
    nominal: int
    iv: SSAValue | None


@dataclass(frozen=True)
class Place:
    """The loops around a point of the nest: what each dim has left, and the loop levels passed."""

    extents: dict[str, int]
    loops: tuple[Position, ...]

    def inside(self, span: Span, run: Run, iv: SSAValue | None) -> Place:
        """The place inside a loop over the tiles of a run; without ``iv``, inside its only tile."""
        position = Position(span.key, span.level.dim, run.start, run.step, span.step, iv)
        return Place({**self.extents, span.level.dim: run.step}, (*self.loops, position))


class Ends:
    """Where the dims of a kernel end in this call, as values at the kernel's head."""

    def __init__(self, kernel: KernelOp) -> None:
        self.kernel = kernel
        self.values: dict[Amount, SSAValue[IndexType]] = {}
        self.last: Operation | None = None

    def of(self, compute: ComputeOp) -> Mapping[str, SSAValue]:
        """By dim, where it ends."""
        if compute.limits is None:
            return {}
        limits = compute.limits.data
        return {name: self._value(Amount(limits.symbols, extent)) for name, extent in limits.extents}

    def trips(self, block: Block, limit: SSAValue, place: Place, dim: str, run: Run) -> SSAValue | None:
        """How many tiles of a run, a loop at ``place``, begin below ``limit``; None: all, for the first always does."""
        around = [p for p in place.loops if p.dim == dim]
        if run.count == 1 and run.start == 0 and around:
            return None
        moving = [(p.iv, p.step) for p in around if p.iv is not None]
        tiles = Tiles(run.start + sum(p.start for p in around), run.count, run.step)
        made = TripsOp.make(limit, [iv for iv, _ in moving], [step for _, step in moving], [tiles])
        if moving:
            block.add_op(made)
        else:
            self._at_head(made)
        return made.result

    def choice(self, block: Block, limit: SSAValue, place: Place, dim: str, above: int, until: int | None) -> SSAValue:
        """1 where more than ``above`` elements are left of a dim at ``place``, and at most ``until``; else 0."""
        around = [p for p in place.loops if p.dim == dim]
        start = sum(p.start for p in around)
        moving = [(p.iv, p.step) for p in around if p.iv is not None]
        made = TripsOp.make(
            limit,
            [iv for iv, _ in moving],
            [step for _, step in moving],
            [Tiles(start + above, 1, 1)],
            None if until is None else start + until,
        )
        block.add_op(made)
        return made.result

    def _value(self, amount: Amount) -> SSAValue:
        found = self.values.get(amount)
        if found is None:
            assert self.kernel.extents is not None, "a kernel with limits has an argument for the dims of the call"
            made = ExtentOp.make(self.kernel.args[self.kernel.extents.value.data], amount)
            self._at_head(made)
            found = self.values[amount] = made.result
        return found

    def _at_head(self, op: Operation) -> None:
        """Before all loops, after what was put there earlier."""
        block = self.kernel.body.block
        if self.last is not None:
            block.insert_op_after(op, self.last)
        elif block.first_op is not None:
            block.insert_op_before(op, block.first_op)
        self.last = op
