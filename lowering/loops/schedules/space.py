"""What all schedules are built from: a compute's dims on a target, and loops that respect its operands' blocks."""

from __future__ import annotations

from math import prod

from mlc.codegen.targets import Target
from mlc.dialects.loop import ComputeOp, DotOp, Level
from mlc.lowering.loops.facts import Facts, Operand
from mlc.lowering.loops.levels import element_bytes

MANY_REGISTERS = 32


class Space:
    """The dims of one compute as a schedule may use them.

    ``shared`` gives the steps of the dims that loops around the compute already walk; ``extents`` are what is left
    inside. ``width`` is the number of lanes: a vector of the widest element that is computed on.
    """

    def __init__(self, op: ComputeOp, target: Target, shared: dict[str, int]) -> None:
        self.facts = Facts(op)
        self.target = target
        self.shared = shared
        self.extents = {n: min(e, shared.get(n, e)) for n, e in self.facts.extents.items()}
        self.width = target.lanes(self._lane_bytes())

    def _lane_bytes(self) -> int:
        """Eight bytes only where every operand has them: indices and masks beside floats don't halve the lanes.

        Two bytes where sums are kept in them.
        """
        if self.has_reduction and all(element_bytes(a.type) == 2 for a in self.facts.op.combine.block.args):
            return 2
        sizes = [o.bytes for o in self.facts.operands] or [4]
        widest = max(sizes)
        return max(4, widest if widest < 8 or min(sizes) == 8 else 4)

    @property
    def has_reduction(self) -> bool:
        """Whether values are folded into accumulators."""
        return self.facts.op.has_reduction

    @property
    def many_registers(self) -> bool:
        """Whether a tile of 14 vectors fits beside its operands."""
        return self.target.registers >= MANY_REGISTERS

    @property
    def temporaries(self) -> int:
        """Registers that instructions of a step of the reduction take for themselves."""
        dots = [op for op in self.facts.op.map.block.ops if isinstance(op, DotOp)] if self.has_reduction else []
        rows = [self.target.row(dot.row, "i32", self.width) for dot in dots]
        return max((row.temporaries for row in rows if row is not None), default=0)

    def fold_length(self) -> int:
        """Elements folded into one result."""
        return prod(self.extents[r] for r in self.facts.reductions) if self.has_reduction else 1

    def shared_rows(self) -> dict[str, int]:
        """Parallel dims of which the shared loops leave a few, and how many."""
        kinds = self.facts.kinds
        return {n: e for n, e in self.extents.items() if n in self.shared and e > 1 and kinds[n] == "p"}

    # --- orders

    def by_output(self, names: list[str]) -> list[str]:
        """Dims in the order in which the first output lies in memory, outermost first."""
        out = self.facts.outputs[0]
        return sorted(names, key=lambda n: (-abs(out.stride(n)), n))

    def reduction_order(self) -> list[str]:
        """Reduction dims, outermost first: those that jump furthest in the factors that are not constant."""
        moving = [o for o in self.facts.factors if not o.constant] or self.facts.factors
        return sorted(self.facts.reductions, key=lambda n: -max((abs(o.stride(n)) for o in moving), default=0))

    # --- loops

    def loops(self, name: str, step: int, *, balanced: bool = False) -> list[Level]:
        """Loops over a dim down to ``step``, with a level for each block that the step does not cover."""
        extent = self.extents[name]
        blocks = [b for b in self.facts.blocks.get(name, []) if step < b < extent and b % step == 0]
        levels = [Level(name, "/", b) for b in reversed(blocks)]
        inside = min(blocks) if blocks else extent
        if step < inside:
            free = balanced and not self.facts.blocks.get(name) and name not in self.shared
            levels.append(Level(name, "/", step, balanced=free))
        return levels

    def single_loops(self, names: list[str]) -> list[Level]:
        """One loop of step 1 per dim (and one per block of it)."""
        return [level for name in names if self.extents[name] > 1 for level in self.loops(name, 1)]

    def whole_steps(self, name: str, most: int) -> int:
        """The largest step up to ``most`` that divides the dim's innermost block."""
        blocks = self.facts.blocks.get(name, [])
        return max((d for d in range(1, most + 1) if not blocks or blocks[0] % d == 0), default=1)

    def vector(self, lane: str) -> list[Level]:
        """The innermost levels: registers along the lane dim, and its lanes."""
        return [Level(lane, "*"), Level(lane, "@", self.width)] if lane else []

    def is_packed(self, name: str, pack: tuple[int, ...]) -> bool:
        """Whether a dim is one of a packed operand's, whose panels must all have one size."""
        return any(self.facts.operands[number].depends(name) for number in pack)

    def is_packable(self, operand: Operand) -> bool:
        """Whether an operand is a constant factor that does not move with shared loops, whose steps may vary."""
        return operand.packable and not any(operand.depends(name) for name in self.shared)

    def packs(self, lane: str) -> tuple[int, ...]:
        """Constant factors that move with the lanes, or whose blocks the levels need not respect."""
        factors = [o for o in self.facts.factors if self.is_packable(o)]
        return tuple(o.number for o in factors if (lane and o.depends(lane)) or any(o.blocks.values()))
