"""loop: structured loops, schedules and register tiles (the design's section 4)."""

from xdsl.ir import Dialect

from mlc.dialects.loop.attrs import (
    Access,
    AccessAttr,
    AxesAttr,
    Axis,
    Dim,
    DimsAttr,
    Level,
    MapAttr,
    Plan,
    Reach,
    ReachAttr,
    ScheduleAttr,
    TableAttr,
    TileType,
)
from mlc.dialects.loop.common import INDEX, block_of, buffer_type, index_attr, segments, tile_type
from mlc.dialects.loop.compute import ComputeOp, IndexOp, LdexpOp, RemfOp, YieldOp
from mlc.dialects.loop.kernel import KernelOp, PackOp, ScratchOp
from mlc.dialects.loop.nest import ForOp, MergeOp, ParallelOp, PrefetchOp, TileOp
from mlc.dialects.loop.program import STATUS, BufferOp, CallOp, ConstantOp, StatusOp, ViewOp

LOOP = Dialect(
    "loop",
    [
        KernelOp,
        ScratchOp,
        PackOp,
        ComputeOp,
        YieldOp,
        IndexOp,
        ForOp,
        ParallelOp,
        TileOp,
        MergeOp,
        PrefetchOp,
        LdexpOp,
        RemfOp,
        ConstantOp,
        BufferOp,
        ViewOp,
        StatusOp,
        CallOp,
    ],
    [DimsAttr, MapAttr, ScheduleAttr, AxesAttr, ReachAttr, AccessAttr, TableAttr, TileType],
)

__all__ = [
    "INDEX",
    "LOOP",
    "STATUS",
    "Access",
    "AccessAttr",
    "AxesAttr",
    "Axis",
    "BufferOp",
    "CallOp",
    "ComputeOp",
    "ConstantOp",
    "Dim",
    "DimsAttr",
    "ForOp",
    "IndexOp",
    "KernelOp",
    "LdexpOp",
    "Level",
    "MapAttr",
    "MergeOp",
    "PackOp",
    "ParallelOp",
    "Plan",
    "PrefetchOp",
    "Reach",
    "ReachAttr",
    "RemfOp",
    "ScheduleAttr",
    "ScratchOp",
    "StatusOp",
    "TableAttr",
    "TileOp",
    "TileType",
    "ViewOp",
    "YieldOp",
    "block_of",
    "buffer_type",
    "index_attr",
    "segments",
    "tile_type",
]
