"""The steps of a scheduled program: which ones all threads share, which the first one runs alone, and where they wait.

What `parallelize` left in one piece is the first thread's: between two such calls nobody waits, and control flow
around nothing else is that thread's own. A program of nothing else needs no other threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from xdsl.ir import Block, Operation

from mlc.codegen.steps import Alone, Branch, Call, Repeat, Step
from mlc.dialects.hlt import node_name
from mlc.dialects.loop import CallCOp, CallOp, IfOp, KernelOp, ParallelOp, RepeatOp, TileOp
from mlc.errors import InternalError
from mlc.memory import Memory, Touched

_POINTER_BYTES = 8


class Sequencer:
    """Turns the operations of ``@main`` into steps.

    ``reserve`` takes a number of bytes of the arena and returns their offset. ``threads`` says whether others than the
    caller's thread take part: whether they may, at first, and whether anything is theirs to do, in the end.
    """

    def __init__(
        self,
        memory: Memory,
        kernels: Mapping[str, KernelOp],
        main: Block,
        reserve: Callable[[int], int],
        *,
        threads: bool,
    ) -> None:
        self.memory = memory
        self.kernels = kernels
        self.main = main
        self.reserve = reserve
        self._shared: dict[str, bool] = {}
        self.threads = threads and not self._is_alone(main)

    def steps(self) -> tuple[Step, ...]:
        """All steps, with a barrier where one touches what an earlier one of other threads did."""
        if not self.threads:
            return tuple(self._within(self.main.ops))
        return tuple(self._steps(self.main, Touched(self.memory)))

    def kernel(self, name: str) -> KernelOp:
        """The kernel called ``name``."""
        found = self.kernels.get(name)
        if found is None:
            raise InternalError(f"no kernel @{name}")
        return found

    # --- one thread

    def _is_alone(self, block: Block) -> bool:
        """Whether a block holds nothing that is shared out."""
        return all(self._is_lone(op) for op in _steps_of(block))

    def _is_lone(self, op: Operation) -> bool:
        """Whether one thread runs all of a step."""
        if not isinstance(op, CallOp):
            return all(self._is_alone(region.block) for region in op.regions)
        if op.kernel not in self._shared:
            loops = (o for o in self.kernel(op.kernel).walk() if isinstance(o, ParallelOp))
            self._shared[op.kernel] = any(o.tiles.value.data > 1 for o in loops)
        return not self._shared[op.kernel]

    def _within(self, ops: Iterable[Operation]) -> Iterator[Step]:
        """The steps that one thread runs: it waits for nobody."""
        for op in ops:
            match op:
                case CallOp():
                    yield self._call(op, barrier=False)
                case IfOp():
                    ways = [tuple(self._within(region.block.ops)) for region in op.regions]
                    yield Branch(self.memory.reference(op.condition), ways[0], ways[1], barrier=False)
                case RepeatOp():
                    yield self._loop(op, tuple(self._within(op.body.block.ops)), self._slots(op))
                case _:
                    pass

    def _slots(self, op: RepeatOp) -> int | None:
        """Where a loop of the first thread keeps its places, so that others find what it handed on last."""
        return self.reserve(_POINTER_BYTES * len(op.places)) if self.threads and op.places else None

    # --- all threads

    def _steps(self, block: Block, touched: Touched) -> Iterator[Step]:
        lone: list[Operation] = []
        barrier = False
        for op in _steps_of(block):
            if self._is_lone(op):
                waits = self._meets_alone(op, touched)
                if waits:
                    yield from self._gathered(lone, barrier)
                    lone = []
                barrier = barrier if lone else waits
                lone.append(op)
                continue
            yield from self._gathered(lone, barrier)
            lone = []
            yield self._together(op, touched)
        yield from self._gathered(lone, barrier)

    def _meets_alone(self, op: Operation, touched: Touched) -> bool:
        """Whether the first thread has to wait for others before a step of its own."""
        if isinstance(op, CallOp):
            return touched.meet(op.args, self._written(op), alone=True)
        return touched.meet_apart()

    def _gathered(self, lone: Sequence[Operation], barrier: bool) -> Iterator[Step]:
        """The first thread's steps as one."""
        if lone:
            yield Alone(tuple(self._within(lone)), barrier)

    def _together(self, op: Operation, touched: Touched) -> Step:
        match op:
            case IfOp():
                return self._branch(op, touched)
            case RepeatOp():
                return self._repeat(op, touched)
            case _:
                assert isinstance(op, CallOp)
                return self._call(op, touched.meet(op.args, self._written(op)))

    def _branch(self, op: IfOp, touched: Touched) -> Branch:
        barrier = touched.meet([op.condition], [False])
        ways = [touched.copy(), touched.copy()]
        bodies = [tuple(self._steps(region.block, way)) for region, way in zip(op.regions, ways, strict=True)]
        touched.clear()
        touched.join(ways)
        return Branch(self.memory.reference(op.condition), bodies[0], bodies[1], barrier)

    def _repeat(self, op: RepeatOp, touched: Touched) -> Repeat:
        """A loop, which has a barrier before each iteration and one at the end."""
        bounds = [value for value in (op.trips, op.keep) if value is not None]
        touched.clear()
        touched.meet(bounds, [False] * len(bounds))
        return self._loop(op, tuple(self._steps(op.body.block, touched.copy())), None)

    # --- steps

    def _call(self, op: CallOp, barrier: bool) -> Call:
        node = node_name(op) if "hlt.node" in op.attributes else ""
        return Call(op.kernel, tuple(self.memory.reference(v) for v in op.args), barrier, node)

    def _written(self, op: CallOp) -> list[bool]:
        """Which arguments a call writes."""
        kernel = self.kernel(op.kernel)
        written = {v for o in kernel.walk() if isinstance(o, CallCOp | TileOp) for v in o.outs}
        return [a in written for a in kernel.body.block.args]

    def _loop(self, op: RepeatOp, body: tuple[Step, ...], slots: int | None) -> Repeat:
        references = [self.memory.reference(value) for value in op.places]
        return Repeat(
            self.memory.number(op),
            body,
            None if op.limit is None else op.limit.value.data,
            None if op.trips is None else self.memory.reference(op.trips),
            None if op.keep is None else self.memory.reference(op.keep),
            tuple(zip(references[::2], references[1::2], strict=True)),
            self.memory.first_place(op),
            slots,
        )


def _steps_of(block: Block) -> list[Operation]:
    return [op for op in block.ops if isinstance(op, CallOp | IfOp | RepeatOp)]
