"""Where the buffers of a scheduled program lie at run time, and which steps must wait for others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

from xdsl.dialects.builtin import IntegerAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, OpResult, SSAValue

from mlc.codegen.steps import BufferRef
from mlc.dialects.loop import BufferOp, RepeatOp, StatusOp, ViewOp
from mlc.lowering.loops.plan_memory import root, roots, size_of, view_offset


class Memory:
    """References to the buffers of ``@main``; ``place_constant`` tells where in the payload a constant lies.

    ``elsewhere`` has those arguments of ``@main``, by position, that are not the caller's tensors.
    """

    def __init__(
        self,
        main: FuncOp,
        place_constant: Callable[[SSAValue], int],
        elsewhere: Mapping[int, BufferRef] = MappingProxyType({}),
    ) -> None:
        self._elsewhere = elsewhere
        inputs = main.attributes["inputs"]
        assert isinstance(inputs, IntegerAttr)
        self.inputs = inputs.value.data
        self._place_constant = place_constant
        self._loops: dict[RepeatOp, tuple[int, int]] = {}
        """Number and first place of each loop."""
        places = 0
        for op in main.walk():
            if isinstance(op, RepeatOp):
                self._loops[op] = len(self._loops), places
                places += len(op.places)

    def number(self, loop: RepeatOp) -> int:
        """What the counter of a loop goes by."""
        return self._loops[loop][0]

    def first_place(self, loop: RepeatOp) -> int:
        """The number of the first of a loop's places; the others follow."""
        return self._loops[loop][1]

    def reference(self, value: SSAValue) -> BufferRef:
        """Where a buffer or a view of one lies."""
        found = self._of_root(root(value))
        return replace(found, offset=found.offset + view_offset(value), moves=tuple(self._moves(value)))

    def _of_root(self, base: SSAValue) -> BufferRef:
        owner = base.owner.parent_op() if isinstance(base, BlockArgument) else base.owner
        match owner:
            case FuncOp():
                assert isinstance(base, BlockArgument)
                if base.index in self._elsewhere:
                    return self._elsewhere[base.index]
                after = base.index - self.inputs
                return BufferRef("input", base.index) if after < 0 else BufferRef("output", after)
            case RepeatOp():
                return self._of_loop(owner, base)
            case StatusOp():
                return BufferRef("status")
            case BufferOp():
                assert owner.offset is not None, "memory is planned"
                return BufferRef("arena", 0, owner.offset.value.data)
            case _:
                return BufferRef("weights", 0, self._place_constant(base))

    def _of_loop(self, loop: RepeatOp, base: SSAValue) -> BufferRef:
        """An argument or a result of a loop: its counter or one of its places."""
        if base is loop.counter:
            return BufferRef("counter", self.number(loop))
        if isinstance(base, BlockArgument):
            return BufferRef("place", self.first_place(loop) + base.index - 1)
        assert isinstance(base, OpResult), "a loop's value is an argument or a result"
        return BufferRef("place", self.first_place(loop) + 2 * base.index)

    def _moves(self, value: SSAValue) -> Iterator[tuple[int, int]]:
        """The loops that views move with, and their steps."""
        while isinstance(value.owner, ViewOp):
            view = value.owner
            if view.index is not None and view.step is not None:
                loop = view.index.owner.parent_op() if isinstance(view.index, BlockArgument) else None
                assert isinstance(loop, RepeatOp), "views move with the counter of a loop"
                yield self.number(loop), view.step.value.data
            value = view.source

    def spans(self, value: SSAValue) -> Iterator[Span]:
        """The memory that an access to ``value`` may touch, as far as threads share it and anything writes it.

        The two places of a loop count as different memory in its body, and as both in its result.
        """
        base = root(value)
        places = [base] if isinstance(base, BlockArgument) else roots(base)
        for place in places:
            ref = self._of_root(place)
            if ref.space in ("weights", "status", "counter"):
                continue
            if base is not place or any(self._moves(value)):
                yield Span(ref.space, ref.index, ref.offset, size_of(place))
            else:
                yield Span(ref.space, ref.index, ref.offset + view_offset(value), size_of(value))


class Span(NamedTuple):
    """``size`` bytes from ``start`` on in one space of memory."""

    space: str
    number: int
    start: int
    size: int

    def overlaps(self, other: Span) -> bool:
        """Whether two spans share a byte."""
        if (self.space, self.number) != (other.space, other.number):
            return False
        return self.start < other.start + other.size and other.start < self.start + self.size


@dataclass
class Touched:
    """What has been read or written since the last barrier."""

    memory: Memory
    spans: dict[tuple[Span, bool, bool], None] = field(default_factory=dict[tuple[Span, bool, bool], None])
    """Memory, whether it was written, and whether only by the first thread."""
    apart: bool = False
    """Whether the first thread has touched more, of which nothing is noted."""

    def meet(self, values: Iterable[SSAValue], written: Sequence[bool], *, alone: bool = False) -> bool:
        """Note a step's accesses; returns whether it needs a barrier before it, which forgets what was before.

        ``alone``: the step is the first thread's, which need not wait for itself.
        """
        accesses = [
            (span, writes) for value, writes in zip(values, written, strict=True) for span in self.memory.spans(value)
        ]
        barrier = (self.apart and not alone) or any(
            (writes or wrote) and not (alone and lone) and span.overlaps(other)
            for span, writes in accesses
            for other, wrote, lone in self.spans
        )
        if barrier:
            self.clear()
        self.spans.update(dict.fromkeys((span, writes, alone) for span, writes in accesses))
        return barrier

    def meet_apart(self) -> bool:
        """Control flow of the first thread: it may touch anything; returns whether it needs a barrier before it."""
        barrier = any(not alone for _, _, alone in self.spans)
        if barrier:
            self.clear()
        self.apart = True
        return barrier

    def clear(self) -> None:
        """A barrier."""
        self.spans.clear()
        self.apart = False

    def copy(self) -> Touched:
        """The same, to go on on its own."""
        return Touched(self.memory, dict(self.spans), self.apart)

    def join(self, others: Iterable[Touched]) -> None:
        """What was touched on any of several ways."""
        for other in others:
            self.spans.update(other.spans)
            self.apart |= other.apart
