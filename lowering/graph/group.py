"""Operator fusion: every operation of a function goes into an ``hlt.fusion`` that becomes one kernel.

A group is built around one operation, its anchor (``kinds.ANCHORS``), or is a tree of element-wise operations and
movement. It has one result::

    prologue:  movement, element-wise operations that nothing else uses      as far as the anchor allows
    anchor:    convolution, product, reduction, softmax, ...
    epilogue:  element-wise operations of the anchor's shape, whose other operands have prologues of their own;
               with run-time extents, no mask that the reader may apply in its prologue
    transpose: of the result, where no reader of the result could read it transposed; or a constant border

What stays outside: constants, except splats, which are copied into each group; and reshapes and words of what lies
in memory, which are views. Movement may be copied into several groups; nothing else is computed twice.

Groups can't depend on each other in a circle: all that leaves a group is its last operation's result, and each
group takes that operation's place.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import Block, Operation, SSAValue
from xdsl.passes import ModulePass

from mlc.dialects import hlt
from mlc.dialects.bounds import bounds_of
from mlc.lowering.graph.kinds import (
    ANCHORS,
    CHEAP,
    ELEMENTWISE,
    MATERIALIZE,
    MOVEMENT,
    Prologue,
    all_read_through,
    prologue,
    splits_dims,
)
from mlc.lowering.graph.match import splat
from mlc.lowering.graph.rewrite import NODE, blocks

NAME_LIMIT = 96
"""The most characters of a fusion's ``hlt.node``."""


@dataclass(frozen=True)
class GroupPass(ModulePass):
    """Put operations that are computed together into fusions. ``max_epilogue`` bounds the search for its end."""

    name = "group"

    max_epilogue: int = 64

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        bounded = bounds_of(op) is not None
        for block in blocks(op):
            _Grouping(block, self.max_epilogue, bounded).run()


@dataclass
class _Grouping:
    block: Block
    max_epilogue: int
    bounded: bool
    """Whether dims get their extents at run time."""
    places: dict[Operation, int] = field(init=False)
    groups: dict[Operation, list[Operation]] = field(default_factory=dict[Operation, list[Operation]])
    """The members of each group around an anchor, by its last operation."""
    claimed: set[Operation] = field(default_factory=set[Operation])

    def __post_init__(self) -> None:
        self.places = {op: place for place, op in enumerate(self.block.ops)}

    def run(self) -> None:
        """Plan the groups around anchors, last anchor first; then build all groups from the end."""
        ops = list(self.block.ops)
        for op in reversed(ops):
            if type(op) in ANCHORS:
                self._plan(op)
        for op in reversed(ops):
            if isinstance(op, hlt.HltOp):
                self._build(op)

    def _plan(self, anchor: Operation) -> None:
        members = self._epilogue(anchor)
        trailing = _only_user(members[-1])
        if trailing is not None and trailing in self.places and _joins_the_end(trailing):
            members.append(trailing)
        self.claimed.update(members)
        self.groups[members[-1]] = members

    def _epilogue(self, anchor: Operation) -> list[Operation]:
        """``anchor`` and element-wise operations after it, as many as leave the last one's result alone in use."""
        members, complete = [anchor], 1
        shape = hlt.shape_of(anchor.results[0])
        open_uses = {anchor: _count_uses(anchor)}
        seen = {anchor}
        waiting = self._users(anchor)
        heapq.heapify(waiting)
        while waiting and len(members) < complete + self.max_epilogue:
            _, op = heapq.heappop(waiting)
            if op in seen:
                continue
            seen.add(op)
            if op in self.claimed or type(op) not in ELEMENTWISE or hlt.shape_of(op.results[0]) != shape:
                continue
            if self.bounded and _masks_for_reader(op):
                continue
            members.append(op)
            open_uses[op] = _count_uses(op)
            for operand in op.operands:
                _close(open_uses, operand.owner)
            if len(open_uses) == 1 and op in open_uses:
                complete = len(members)
            for user in self._users(op):
                heapq.heappush(waiting, user)
        return members[:complete]

    def _users(self, op: Operation) -> list[tuple[int, Operation]]:
        return [
            (self.places[use.operation], use.operation) for use in op.results[0].uses if use.operation in self.places
        ]

    def _build(self, op: hlt.HltOp) -> None:
        """The group that ends with ``op``, if one does; what only groups used is gone by now."""
        if op in self.groups:
            self._fuse(self.groups[op])
        elif op in self.claimed or op.parent is not self.block:
            return
        elif all(result.first_use is None for result in op.results):
            op.detach()
            op.erase()
        elif isinstance(op, hlt.ReshapeOp) and _repeats(op):
            self._fuse([op])
        elif not isinstance(op, hlt.ConstantOp | hlt.ReshapeOp | hlt.WordsOp):
            self._fuse([op])

    def _fuse(self, core: Sequence[Operation]) -> None:
        pulled = _Pulled(self.places, self.claimed, core)
        members = sorted(pulled.owned | pulled.copied, key=self.places.__getitem__)
        _emit(core, members, pulled.owned)


class _Pulled:
    """Operations that a group computes besides its core, each copied or, if nothing else uses it, moved in."""

    def __init__(self, places: dict[Operation, int], claimed: set[Operation], core: Sequence[Operation]) -> None:
        self._places = places
        self._claimed = claimed
        self._levels: dict[Operation, Prologue] = {}
        self._waiting: list[tuple[int, Operation]] = []
        self._repeats = isinstance(core[-1], hlt.ReshapeOp)
        self.owned: set[Operation] = set(core)
        """The core and what only the group uses."""
        self.copied: set[Operation] = set()
        for op in core:
            self._ask(op, None)
        while self._waiting:
            self._decide(heapq.heappop(self._waiting)[1])

    def _ask(self, op: Operation, level: Prologue | None) -> None:
        """Consider the makers of the operands of ``op``, which may be computed at ``level`` and below."""
        for index, operand in enumerate(op.operands):
            maker = operand.owner
            if not isinstance(maker, Operation) or maker in self.owned or maker not in self._places:
                continue
            allowed = prologue(op, index)
            allowed = allowed if level is None else min(allowed, level)
            if maker not in self._levels:
                heapq.heappush(self._waiting, (-self._places[maker], maker))
            self._levels[maker] = min(allowed, self._levels.get(maker, allowed))

    def _decide(self, op: Operation) -> None:
        """Pull ``op`` in, if that is allowed. All users that could be in the group have been decided on."""
        level = self._levels[op]
        if not self._allowed(op, level):
            return
        (self.owned if self._unshared(op) else self.copied).add(op)
        # Below a broadcast, an element is computed again and again.
        self._ask(op, min(level, Prologue.CHEAP) if isinstance(op, hlt.BroadcastOp) else level)

    def _allowed(self, op: Operation, level: Prologue) -> bool:
        if op in self._claimed or level == Prologue.NOTHING or MATERIALIZE in op.attributes:
            return False
        if isinstance(op, hlt.ReshapeOp):
            return self._worth_reading_through(op, level)
        if type(op) in MOVEMENT:
            return True
        if isinstance(op, hlt.IotaOp):
            return level >= Prologue.CHEAP
        return type(op) in ELEMENTWISE and level >= _level_of(op) and self._unshared(op)

    def _worth_reading_through(self, op: hlt.ReshapeOp, level: Prologue) -> bool:
        """A reshape of what lies in memory stays outside, as a view."""
        maker = op.x.owner
        if not isinstance(maker, Operation) or not splits_dims(hlt.shape_of(op.x), op.shape):
            return False
        if self._repeats:
            return True
        if maker in self._claimed:
            return False
        if type(maker) in MOVEMENT:
            return True
        if type(maker) not in ELEMENTWISE or level < _level_of(maker):
            return False
        return self._unshared(op) and op.x.has_one_use()

    def _unshared(self, op: Operation) -> bool:
        return all(use.operation in self.owned for result in op.results for use in result.uses)


def _level_of(op: Operation) -> Prologue:
    return Prologue.CHEAP if type(op) in CHEAP else Prologue.ANYTHING


def _repeats(op: hlt.ReshapeOp) -> bool:
    """Whether ``op`` merges dims of a broadcast, so that elements repeat along the result's dims.

    The broadcast has to be written anyway; as one group with the reshape, the result has the dims that others see.
    """
    maker = op.x.owner
    return isinstance(maker, hlt.BroadcastOp) and op.x.has_one_use() and len(op.shape) < len(maker.shape)


def _joins_the_end(op: Operation) -> bool:
    """Whether the kernel before ``op`` may write its result as ``op`` arranges it."""
    if isinstance(op, hlt.PadOp):
        return op.mode == "constant"
    return isinstance(op, hlt.TransposeOp) and MATERIALIZE not in op.attributes and not all_read_through(op.result)


def _masks_for_reader(op: Operation) -> bool:
    """Whether ``op`` puts a number in the place of elements for one reader, which can do so itself.

    With run-time extents it had better: what the reader hides need not be there, where tiles reach beyond an extent.
    """
    user = _only_user(op)
    if not isinstance(op, hlt.SelectOp) or user is None or type(user) not in ANCHORS:
        return False
    masks = splat(op.on_true) is not None or splat(op.on_false) is not None
    return masks and prologue(user, user.operands.index(op.result)) >= Prologue.CHEAP


def _only_user(op: Operation) -> Operation | None:
    return op.results[0].get_user_of_unique_use() if len(op.results) == 1 else None


def _count_uses(op: Operation) -> int:
    return op.results[0].uses.get_length()


def _close(open_uses: dict[Operation, int], maker: Operation | Block) -> None:
    """One use of ``maker``, if it is a member, is inside the group."""
    if not isinstance(maker, Operation) or maker not in open_uses:
        return
    open_uses[maker] -= 1
    if not open_uses[maker]:
        del open_uses[maker]


def _emit(core: Sequence[Operation], members: Sequence[Operation], owned: set[Operation]) -> None:
    """Replace ``core`` by a fusion of ``members``, in order, where its last operation stands."""
    root = core[-1]
    block, after = root.parent, root.next_op
    assert block is not None and after is not None, "operations stand in a block that returns"
    outside = [list(result.uses) for result in root.results]
    body = _Body()
    for op in members:
        body.move(op) if op in owned else body.copy(op)
    body.block.add_op(hlt.YieldOp(*root.results))
    fusion = hlt.FusionOp(body.captured, body.block)
    label = _label(members)
    if label:
        fusion.attributes[NODE] = StringAttr(label)
    for uses, old, new in zip(outside, root.results, fusion.results, strict=True):
        new.name_hint = old.name_hint
        for use in uses:
            use.operation.operands[use.index] = new
    block.insert_op_before(fusion, after)


class _Body:
    """The block of a fusion in the making."""

    def __init__(self) -> None:
        self._inner: dict[SSAValue, SSAValue] = {}
        self.block = Block()
        self.captured: list[SSAValue] = []

    def move(self, op: Operation) -> None:
        """Take ``op`` itself in."""
        operands = [self._value(operand) for operand in op.operands]
        op.detach()
        op.operands = operands
        self.block.add_op(op)
        self._inner.update((result, result) for result in op.results)

    def copy(self, op: Operation) -> None:
        """Take a copy of ``op`` in."""
        clone = op.clone({operand: self._value(operand) for operand in op.operands})
        self.block.add_op(clone)
        self._inner.update(zip(op.results, clone.results))

    def _value(self, value: SSAValue) -> SSAValue:
        """What ``value`` is inside; splats are copied and everything else captured when it is first asked for."""
        if value in self._inner:
            return self._inner[value]
        if splat(value) is not None and isinstance(value.owner, Operation):
            self.copy(value.owner)
            return self._inner[value]
        argument = self.block.insert_arg(value.type, len(self.captured))
        argument.name_hint = value.name_hint
        self.captured.append(value)
        self._inner[value] = argument
        return argument


def _label(members: Sequence[Operation]) -> str:
    """The nodes that the members come from, joined; the first few and a count when they are many."""
    names = list(dict.fromkeys(_nodes(members)))
    for count in range(len(names), 0, -1):
        rest = [f"{len(names) - count} more"] if count < len(names) else []
        label = " + ".join(names[:count] + rest)
        if len(label) <= NAME_LIMIT or count == 1:
            return label
    return ""


def _nodes(members: Sequence[Operation]) -> Iterator[str]:
    for op in members:
        node = op.attributes.get(NODE)
        if isinstance(node, StringAttr) and not isinstance(op, hlt.ConstantOp) and type(op) not in MOVEMENT:
            yield node.data
