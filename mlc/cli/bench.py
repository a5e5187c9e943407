"""Time a model, beside other runtimes if asked: in turns, each runtime in a process of its own.

    mlc bench resnet50.onnx --threads=1 --compare onnxruntime,openvino

Times are of one run on fixed buffers. Peers compute in float32 too. The share of peak is that of the multiply-adds
that a loop of our own reached on as many threads in the same minute.
"""

from __future__ import annotations

import argparse
from typing import Any

from mlc.cli.arguments import (
    add_input_arguments,
    add_model_arguments,
    amount,
    count,
    inputs_from,
    open_model,
    request_from,
)
from mlc.cli.show import show_json
from mlc.errors import UsageError, nearest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    add_input_arguments(parser)
    parser.add_argument("--compare", default="", metavar="NAMES", help="other runtimes: onnxruntime,openvino")
    parser.add_argument("--iterations", type=count, default=0, metavar="N", help="runs of each (default: by duration)")
    parser.add_argument("--warmup", type=amount, default=0.2, metavar="S", help="seconds before (default: 0.2)")
    parser.add_argument("--duration", type=amount, default=2.0, metavar="S", help="seconds of each (default: 2)")
    parser.add_argument("--percentile", default="90,99", metavar="P,P", help="percentiles to show (default: 90,99)")
    parser.add_argument("--json", action="store_true", help="print JSON")


def run(args: argparse.Namespace) -> int:
    from mlc.report.bench import Plan, compare_runtimes, rows
    from mlc.report.peak import peak_gflops

    names = ["mlc", *_peers(args.compare)]
    percentiles = _percentiles(args.percentile)
    model = open_model(args)
    inputs = inputs_from(args, model)
    request = request_from(args)
    flops = int(model.metadata["extra"].get("flops", 0)) if model.is_static else 0
    target = request.target.resolve()
    before = peak_gflops(target, request.threads)
    plan = Plan(args.iterations, args.warmup, args.duration)
    timings = compare_runtimes(names, args.model, inputs, request.threads, plan, _options(args))
    peak = max(before, peak_gflops(target, request.threads))
    found = rows(timings, percentiles, flops, peak)
    if args.json:
        report = {"model": args.model, "threads": request.threads, "flops": flops, "peak_gflops": peak}
        show_json({**report, "target": target.name, "runtimes": found})
        return 0
    gflop = f"{flops / 1e9:.3g} GFLOP, " if flops else ""
    print(f"{model.name}: {gflop}{request.threads} thread(s), {target.name}, peak {peak:.0f} GFLOP/s")
    print(table(found, percentiles))
    return 0


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """What mlc compiles with in the child."""
    return {
        "target": args.target,
        "mcpu": args.mcpu,
        "mattr": args.mattr,
        "opt_level": args.opt_level,
        "strict": args.strict,
        "cache": not args.no_cache,
        "external_root": args.external_root,
        "shapes": dict(request_from(args).shapes),
        "dims": dict(request_from(args).dims),
        "plugins": args.plugin,
    }


def _peers(text: str) -> list[str]:
    from mlc.report.peers import RUNTIMES

    names = [name for name in text.split(",") if name]
    for name in names:
        if name not in RUNTIMES or name == "mlc":
            raise UsageError(f"unknown runtime {name!r}", hint=nearest(name, set(RUNTIMES) - {"mlc"}))
    return names


def _percentiles(text: str) -> list[float]:
    try:
        values = [float(word) for word in text.split(",") if word]
    except ValueError:
        values = [-1.0]
    if not all(0 <= value <= 100 for value in values):
        raise UsageError(f"bad percentiles {text!r}", hint="write --percentile 50,90,99")
    return values


def table(rows: list[dict[str, Any]], percentiles: list[float]) -> str:
    """The rows of `mlc.report.bench.rows` for people: times in milliseconds."""
    heads = ["min ms", "median ms", *(f"p{p:g} ms" for p in percentiles), "GFLOP/s", "of peak", "mlc is faster by"]
    lines = [f"{'runtime':14}" + "".join(f"{head:>{len(head) + 3}}" for head in heads)]
    for row in rows:
        if "error" in row:
            lines.append(f"{row['runtime']:14}   not run: {row['error']}")
            continue
        cells = [f"{row['min_ms']:.4g}", f"{row['median_ms']:.4g}"]
        cells += [f"{row[f'p{p:g}_ms']:.4g}" for p in percentiles]
        cells.append(f"{row['gflops']:.0f}" if "gflops" in row else "-")
        cells.append(f"{row['share_of_peak']:.0%}" if row.get("share_of_peak") else "-")
        cells.append(f"{row['mlc_is_faster_by']:.2f}x" if "mlc_is_faster_by" in row else "")
        lines.append(f"{row['runtime']:14}" + "".join(f"{c:>{len(h) + 3}}" for c, h in zip(cells, heads)))
    return "\n".join(lines)
