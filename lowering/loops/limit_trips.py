"""limit_trips: computes of a program with bounded dims stop where the call's extents end.

    dims <"d1=512 d2=768 k0=768:r">  ->  dims <...> limits <"d1 < seq | seq=1..512">

`demand` says which points matter. Kernels that are called with different limits become different kernels; those with
limits take the call's dims as one more argument. Inputs are noted to be read as far as they are (`needed`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass

from mlc.dialects.context import weights_of
from mlc.dialects.extents import Symbol, is_simple
from mlc.dialects.loop import CallOp, KernelOp, Limits, LimitsAttr, index_attr
from mlc.lowering.loops.demand import Demand, Ends, demand_of
from mlc.lowering.loops.needed import note_needs

Signature: TypeAlias = "tuple[tuple[tuple[str, int], ...], ...]"
"""Where the dims of a kernel's computes end."""


def _signature(ends: list[Ends]) -> Signature:
    return tuple(tuple((n, e) for n, e in sorted(found.items()) if is_simple(e)) for found in ends)


def _limit(kernel: KernelOp, signature: Signature, symbols: tuple[Symbol, ...], dims: SSAValue) -> None:
    """Give the computes of a kernel their limits, and the kernel the argument that they depend on."""
    for compute, ends in zip(kernel.computes(), signature, strict=True):
        if ends:
            compute.properties["limits"] = LimitsAttr(Limits(symbols, ends))
    block = kernel.body.block
    place = len(block.args) - (1 if kernel.checked is not None else 0)
    block.insert_arg(dims.type, place)
    kernel.properties["extents"] = index_attr(place)


def _rewire(call: CallOp, kernel: KernelOp, dims: SSAValue) -> CallOp:
    """The call of a kernel with limits in a call's place."""
    assert kernel.extents is not None
    place = kernel.extents.value.data
    made = CallOp.make(kernel.sym_name.data, [*call.args[:place], dims, *call.args[place:]])
    made.attributes.update(call.attributes)
    block = call.parent_block()
    assert block is not None
    block.insert_op_before(made, call)
    block.erase_op(call)
    return made


def _variants(demand: Demand, module: ModuleOp) -> dict[tuple[str, Signature], KernelOp]:
    """The kernel of each pair of a kernel and limits that occurs; the first pair's is the kernel itself."""
    found: dict[tuple[str, Signature], KernelOp] = {}
    plain = {call.kernel for call in demand.main.walk() if isinstance(call, CallOp) and call not in demand.ends}
    for call, ends in demand.ends.items():
        key = (call.kernel, _signature(ends))
        if key in found:
            continue
        kernel = demand.kernels[call.kernel]
        others = sum(name == call.kernel for name, _ in found) + (call.kernel in plain)
        found[key] = kernel.clone() if others else kernel
        if others:
            found[key].properties["sym_name"] = StringAttr(f"{call.kernel}_{others}")
            module.body.block.insert_op_after(found[key], kernel)
    return found


@dataclass(frozen=True)
class LimitTripsPass(ModulePass):
    """Computes stop where the run-time extents of what they are needed for end."""

    name = "limit-trips"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        demand = demand_of(op, weights_of(ctx))
        if demand is None:
            return
        note_needs(demand)
        symbols = demand.bounds.symbols
        dims = demand.main.body.block.args[len(demand.bounds.inputs)]
        kernels = _variants(demand, op)
        for (_, signature), kernel in kernels.items():
            if any(signature):
                _limit(kernel, signature, symbols, dims)
        for call, ends in demand.ends.items():
            kernel = kernels[call.kernel, _signature(ends)]
            if kernel.extents is not None:
                _rewire(call, kernel, dims)
            else:
                call.properties["callee"] = CallOp.make(kernel.sym_name.data, []).callee
