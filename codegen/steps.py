"""What a compiled model does in one call: kernel calls, and control flow around them, on references to memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

Space = Literal["input", "output", "weights", "arena", "status", "dims", "counter", "place"]


@dataclass(frozen=True)
class BufferRef:
    """An address known at run time: ``offset`` bytes into a space.

    ``input`` and ``output`` are numbered by ``index``; ``weights`` is the payload of the weights file;
    ``arena`` the caller's scratch memory; ``status`` an i32 that a kernel sets to a code other than 0 on
    failure; ``dims`` the caller's array of run-time extents (i64). ``counter`` is the number of the iteration (i64)
    that loop ``index`` is in, ``place`` the memory that place ``index`` of a loop stands for by now. ``moves`` are
    pairs of a loop and how many bytes further it is in each of its iterations.
    """

    space: Space
    index: int = 0
    offset: int = 0
    moves: tuple[tuple[int, int], ...] = ()


@dataclass(frozen=True)
class Call:
    """One kernel call; ``barrier``: it reads or overwrites what other threads touched since the last.

    ``node`` is what messages call the node of the model that it is for.
    """

    kernel: str
    args: tuple[BufferRef, ...]
    barrier: bool = True
    node: str = ""


@dataclass(frozen=True)
class Branch:
    """Steps of which one sequence runs or the other, as the byte at ``condition`` says."""

    condition: BufferRef
    on_true: tuple[Step, ...]
    on_false: tuple[Step, ...]
    barrier: bool = True


@dataclass(frozen=True)
class Repeat:
    """Steps that run less than ``limit`` times, less than the i64 ``trips``, and while the byte ``keep`` is not 0.

    ``number`` names its counter. ``places`` are pairs of memory that change roles after each iteration; they become
    the places ``first_place`` and on. Of a loop that is the first thread's alone, they stand in the arena, ``slots``
    bytes into it, for other threads to find what it handed on.
    """

    number: int
    body: tuple[Step, ...]
    limit: int | None = None
    trips: BufferRef | None = None
    keep: BufferRef | None = None
    places: tuple[tuple[BufferRef, BufferRef], ...] = ()
    first_place: int = 0
    slots: int | None = None


@dataclass(frozen=True)
class Alone:
    """Steps that the first thread runs while the others go on; those within have no barriers."""

    steps: tuple[Step, ...]
    barrier: bool = True


Step: TypeAlias = Call | Branch | Repeat | Alone


def steps_within(steps: Iterable[Step]) -> Iterator[Step]:
    """All steps, those inside control flow too."""
    for step in steps:
        yield step
        match step:
            case Branch():
                yield from steps_within((*step.on_true, *step.on_false))
            case Repeat():
                yield from steps_within(step.body)
            case Alone():
                yield from steps_within(step.steps)
            case Call():
                pass


def calls_within(steps: Iterable[Step]) -> list[Call]:
    """All kernel calls, in the order of the text."""
    return [step for step in steps_within(steps) if isinstance(step, Call)]
