"""Show a model: inputs and outputs, the kernels it becomes with their schedules, and the memory that it takes.

    mlc inspect resnet50.onnx
    mlc inspect resnet50.so

Of a shared library this shows what the library says of itself (and loads it, which executes it).
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlc.cli.arguments import FIXED_IN_LIBRARIES, FIXED_IN_TEXT, add_model_arguments, refuse_flags, request_from
from mlc.cli.show import show_json
from mlc.dialects.bounds import Bounds
from mlc.errors import printable

if TYPE_CHECKING:
    from xdsl.dialects.builtin import ModuleOp


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    report = _library(args) if args.model.endswith(".so") else _model(args)
    if args.json:
        show_json(report)
    else:
        print(_text(report))
    return 0


def _library(args: argparse.Namespace) -> dict[str, Any]:
    from mlc.api import load

    refuse_flags(args, f"{args.model} is compiled already", FIXED_IN_LIBRARIES)
    metadata = dict(load(args.model, threads=1).metadata)
    metadata["kernels"] = [{"name": name} for name in metadata["kernels"]]
    return metadata


def _model(args: argparse.Namespace) -> dict[str, Any]:
    from mlc.codegen.metadata import metadata_of
    from mlc.driver import Compilation, collector_paused, import_source, load_source
    from mlc.stages import resume, stage_of

    request = request_from(args)
    with collector_paused():
        if stage_of(Path(args.model)):
            refuse_flags(args, f"{args.model} is a stage's text", FIXED_IN_TEXT)
            compilation = resume(Path(args.model), request.options())
        else:
            loaded = load_source(request)
            compilation = Compilation.of(import_source(loaded, request), loaded.name, request.options())
        frame = compilation.frame()
    return {**metadata_of(frame.program), "kernels": _kernels(compilation.module)}


def _kernels(module: ModuleOp) -> list[dict[str, Any]]:
    """Each kernel with how often it is called, for which nodes, and the schedule of each compute."""
    from xdsl.dialects.builtin import ArrayAttr, StringAttr

    from mlc.dialects.hlt import node_name
    from mlc.dialects.loop import CallOp, KernelOp

    calls = [op for op in module.walk() if isinstance(op, CallOp)]
    counts = Counter(op.kernel for op in calls)
    found: list[dict[str, Any]] = []
    for op in module.ops:
        if not isinstance(op, KernelOp):
            continue
        name = op.sym_name.data
        schedules = op.attributes.get("loop.schedules")
        texts = [s.data for s in schedules if isinstance(s, StringAttr)] if isinstance(schedules, ArrayAttr) else []
        nodes = [node_name(call) for call in calls if call.kernel == name]
        found.append({"name": name, "calls": counts[name], "nodes": nodes, "schedules": texts})
    return found


def _text(report: dict[str, Any]) -> str:
    target, weights = report["target"], report["weights"]
    bounds = Bounds.of_data(report["dims"]) if "dims" in report else None
    flops = report["extra"].get("flops", 0)
    lines = [
        f"model    {report['name']}",
        *(f"in[{i}]    {text}" for i, text in enumerate(_tensors(report["inputs"], bounds and bounds.inputs))),
        *(f"out[{i}]   {text}" for i, text in enumerate(_tensors(report["outputs"], bounds and bounds.outputs))),
        *(f"dim      {s.name} in {s.low}..{s.high}" for s in (bounds.symbols if bounds else ())),
        *(f"found    {s.name} in {s.low}..{s.high}, as it runs" for s in (bounds.found if bounds else ())),
        f"target   {target['name']} ({target['triple']}, {target['cpu'] or 'generic'})",
        f"threads  {report['extra'].get('threads', 1)}",
        *([f"flops    {flops:,}"] if flops else []),
        f"arena    {report['arena_bytes']:,} bytes",
        *(f"level {i}  {level['target']['name']}" for i, level in enumerate(report.get("levels", ()))),
        f"weights  {weights['bytes']:,} bytes{', embedded' if weights['embedded'] else ''}",
        f"kernels  {len(report['kernels'])}",
    ]
    for kernel in report["kernels"]:
        lines.append(f"  {kernel['name']}" + (f" x{kernel['calls']}" if "calls" in kernel else ""))
        lines += [f"      {schedule}" for schedule in kernel.get("schedules", ())]
        lines += [f"      for {node}" for node in kernel.get("nodes", ())[:1]]
    return "\n".join(map(printable, lines))


def _tensors(specs: Sequence[dict[str, Any]], shapes: Sequence[Sequence[int]] | None) -> list[str]:
    """Tensors as text; ``shapes`` are the true ones where dims have bounds."""
    found = shapes or [spec["shape"] for spec in specs]
    return [f"{s['name']}: {s['dtype']} {'x'.join(map(str, shape)) or 'scalar'}" for s, shape in zip(specs, found)]
