"""The whole way from a model to code, in order. Nothing else decides the order of anything.

`STAGES` names what can be looked at on the way, by file extension; `lower` and `generate` are the way itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mlc.specs import check_fused, check_kernels, check_scheduled

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.passes import ModulePass

    from mlc.codegen.targets import Target
    from mlc.dialects.context import CompilerContext
    from mlc.pass_manager import PassManager

STAGES: dict[str, str] = {
    "onnx": ".onnx",
    "graph": ".hlt.mlir",
    "fused": ".fused.mlir",
    "kernels": ".loop.mlir",
    "scheduled": ".scheduled.mlir",
    "llvm": ".ll",
    "asm": ".s",
    "obj": ".o",
}
"""Stage name to file extension, in order; `graph` to `scheduled` are IR that can be resumed from."""


@dataclass(frozen=True)
class Options:
    """What a compilation may be told: the target, the threads to balance for, the optimisation level.

    ``opt_level`` 0 skips everything optional; 1 fuses and folds; 2 and 3 (the default) also choose layouts.
    ``strict`` asks for the same bits on every machine: no fused multiply-adds. ``dtype`` f16 stores tensors and
    weights in f16; ``accumulate`` f16 keeps sums of products in it, too. ``handout`` is what it costs, in cycles, to
    hand a share of a kernel to another thread: kernels that gain less run on one; 0 shares out all that can be.
    """

    target: Target
    threads: int = 1
    opt_level: int = 3
    strict: bool = False
    dtype: Literal["f32", "f16"] = "f32"
    accumulate: Literal["f32", "f16"] = "f32"
    handout: int = 0


def graph_passes(options: Options) -> Iterator[ModulePass]:
    """Tensors to tensors: simplify, recognise, make what kernels need explicit."""
    from mlc.lowering.graph.canonicalize import CanonicalizePass
    from mlc.lowering.graph.eliminate_common import EliminateCommonPass
    from mlc.lowering.graph.eliminate_dead import EliminateDeadPass
    from mlc.lowering.graph.fold_batch_norm import FoldBatchNormPass
    from mlc.lowering.graph.fold_constants import FoldConstantsPass
    from mlc.lowering.graph.hoist_invariants import HoistInvariantsPass
    from mlc.lowering.graph.legalize import LegalizePass
    from mlc.lowering.graph.merge_dots import MergeDotsPass
    from mlc.lowering.graph.recognize_composites import RecognizeCompositesPass
    from mlc.lowering.graph.reorder import ReorderPass
    from mlc.lowering.graph.word_dots import WordDotsPass

    if options.opt_level > 0:
        yield FoldConstantsPass(strict=options.strict)
        yield CanonicalizePass()
    yield FoldBatchNormPass()
    if options.opt_level > 0:
        yield ReorderPass()
        yield FoldConstantsPass(strict=options.strict)
        yield EliminateCommonPass()
        yield RecognizeCompositesPass()
        yield WordDotsPass(target=options.target.designation)
        yield ReorderPass()
        yield MergeDotsPass()
    yield LegalizePass()
    if options.opt_level > 0:
        yield HoistInvariantsPass()
    yield FoldConstantsPass(strict=options.strict)
    yield EliminateCommonPass()
    yield EliminateDeadPass()


def fusion_passes(options: Options) -> Iterator[ModulePass]:
    """Tensors to groups of tensors that become one kernel each, and how the tensors between them lie."""
    from mlc.lowering.graph.assign_layouts import AssignLayoutsPass
    from mlc.lowering.graph.group import GroupPass
    from mlc.lowering.graph.store_half import StoreHalfPass

    yield GroupPass()
    if options.dtype == "f16":
        yield StoreHalfPass(accumulate=options.accumulate)
    if options.opt_level > 1:
        lane_bytes = 2 if options.accumulate == "f16" else 4
        yield AssignLayoutsPass(target=options.target.designation, lane_bytes=lane_bytes)


def loop_passes(options: Options) -> Iterator[ModulePass]:
    """Computes to explicit nests around register tiles."""
    from mlc.lowering.loops.assign_schedules import AssignSchedulesPass
    from mlc.lowering.loops.collapse import CollapsePass
    from mlc.lowering.loops.elide_copies import ElideCopiesPass
    from mlc.lowering.loops.expand_math import ExpandMathPass
    from mlc.lowering.loops.find_inplace import FindInplacePass
    from mlc.lowering.loops.fuse import FusePass
    from mlc.lowering.loops.hoist_packs import HoistPacksPass
    from mlc.lowering.loops.limit_trips import LimitTripsPass
    from mlc.lowering.loops.mark_bounded import MarkBoundedPass
    from mlc.lowering.loops.nest import NestPass
    from mlc.lowering.loops.pack import PackPass
    from mlc.lowering.loops.pack_inputs import PackInputsPass
    from mlc.lowering.loops.parallelize import ParallelizePass
    from mlc.lowering.loops.place_scratch import PlaceScratchPass
    from mlc.lowering.loops.plan_memory import PlanMemoryPass
    from mlc.lowering.loops.prefetch import PrefetchPass
    from mlc.lowering.loops.seed_accumulators import SeedAccumulatorsPass
    from mlc.lowering.loops.select_rows import SelectRowsPass
    from mlc.lowering.loops.split import SplitPass
    from mlc.lowering.loops.verify_bounds import VerifyBoundsPass

    name = options.target.designation
    yield ElideCopiesPass()
    yield FusePass()
    yield MarkBoundedPass()
    yield CollapsePass()
    yield PackInputsPass(target=name)
    yield AssignSchedulesPass(target=name)
    if options.target.kind == "cpu":
        yield LimitTripsPass()
    if not options.strict:
        yield SeedAccumulatorsPass()
    yield ExpandMathPass(strict=options.strict)
    yield PlaceScratchPass()
    yield FindInplacePass()
    yield SplitPass()
    yield PackPass()
    yield SelectRowsPass(strict=options.strict)
    yield NestPass()
    yield PrefetchPass()
    yield ParallelizePass(threads=options.threads, target=name, handout=options.handout)
    yield HoistPacksPass()
    yield PlanMemoryPass()
    yield VerifyBoundsPass()


def to_fused(module: ModuleOp, manager: PassManager, options: Options) -> None:
    """From an imported graph to a grouped one, in place."""
    manager.run(module, graph_passes(options))
    manager.run(module, fusion_passes(options))
    check_fused(module)


def to_kernels(module: ModuleOp, context: CompilerContext) -> ModuleOp:
    """From a grouped graph to a loop program of computes."""
    from mlc.lowering.kernels.program import lower_program

    program = lower_program(module)
    check_kernels(program)
    return program


def to_scheduled(program: ModuleOp, manager: PassManager, options: Options) -> None:
    """From computes to explicit nests, in place."""
    manager.run(program, loop_passes(options))
    check_scheduled(program)
