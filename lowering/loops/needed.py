"""How far a program with bounded dims reads its inputs, noted on the arguments of `@main`.

    func.func @main(%x: memref<512x64xf32> {loop.needed = #loop.limits<"0 < seq + 3 | seq=1..512">}, ...)

Nothing that counts is made of what lies at a limit of a dim or beyond: whoever fills the storage may leave it as it is.
Dims go by their numbers; one that has no limit is read whole.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute

from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import Extent, is_simple
from mlc.dialects.loop import Limits, LimitsAttr
from mlc.errors import ModelError
from mlc.lowering.loops.demand import Demand
from mlc.lowering.loops.elide_copies import note

NEEDED = "loop.needed"
"""Attribute of an argument: by number of a dim, how far it is read."""


def note_needs(demand: Demand) -> None:
    """Note on the bounded inputs how far they are read."""
    main, bounds = demand.main, demand.bounds
    for number, (argument, shape) in enumerate(zip(main.body.block.args, bounds.inputs)):
        read = demand.read(argument)
        limits = [(str(i), e) for i, e in sorted(read.items()) if isinstance(shape[i], Extent) and is_simple(e)]
        if limits:
            note(main, number, NEEDED, LimitsAttr(Limits(bounds.symbols, tuple(limits))))


def noted_needs(main: FuncOp, number: int, bounds: Bounds) -> Mapping[int, int]:
    """By dim, how far an argument of ``@main`` is read. ModelError for a note that is none of such a program."""
    attributes: Mapping[str, Attribute] = main.arg_attrs.data[number].data if main.arg_attrs is not None else {}
    found = attributes.get(NEEDED)
    if found is None:
        return {}
    if not isinstance(found, LimitsAttr) or found.data.symbols != bounds.symbols:
        raise ModelError(f"{NEEDED} of argument {number} has no limits of the program's dims: {found}")
    names = {str(i): i for i, _ in enumerate(bounds.inputs[number])}
    unknown = found.data.by_dim.keys() - names
    if unknown:
        raise ModelError(f"{NEEDED} of argument {number}: no dim {', '.join(sorted(unknown))}")
    return {names[name]: extent for name, extent in found.data.extents}
