"""Compile a model to a library, a program, WebAssembly, an object or an archive; or write stages on the way.

    mlc compile resnet50.onnx -o resnet50.so
    mlc compile resnet50.onnx --target=aarch64 --weights=file -o build/libresnet50.a
    mlc compile resnet50.onnx --target=aarch64 --mcpu=cortex-a76 --emit=exe -o resnet50
    mlc compile resnet50.onnx --target=wasm32 -o site/resnet50.wasm
    mlc compile resnet50.onnx --emit=graph,scheduled,asm -o build/resnet50

The output's extension says what it is; --emit=exe makes a stand-alone program. A stage's text (.hlt.mlir, .fused.mlir,
.loop.mlir, .scheduled.mlir) is compiled on from where it stands.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.cli.arguments import (
    FIXED_IN_TEXT,
    add_model_arguments,
    cache_from,
    refuse_flags,
    request_from,
    target_from,
)
from mlc.cli.opt import add_watch_arguments, watch_from
from mlc.codegen.toolchain import LINKERS
from mlc.errors import UnsupportedError, UsageError, nearest, printable
from mlc.output import KINDS, LOADABLE, WEIGHTS_MODES, Output
from mlc.pipeline import STAGES
from mlc.request import TargetChoice

if TYPE_CHECKING:
    from mlc.codegen.targets import Target
    from mlc.driver import Built, Compilation
    from mlc.frontends.onnx.load import LoadedModel
    from mlc.request import Request

PROGRAM = "exe"
ARTEFACTS = {"obj": ".o", "lib": ".so", "archive": ".a", "wasm": ".wasm", "header": ".h", PROGRAM: ""}
EMITTED = tuple(dict.fromkeys((*STAGES, *ARTEFACTS)))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_model_arguments(parser)
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help=f"what to write: {', '.join(KINDS)}; with --emit, its stem",
    )
    parser.add_argument("--emit", metavar="STAGES", help=f"write these instead: {','.join(EMITTED)}")
    parser.add_argument("--name", help="prefix of the C symbols (default: after the output)")
    parser.add_argument(
        "--weights", choices=WEIGHTS_MODES, default="embed", help="put weights into the code's file or beside it"
    )
    parser.add_argument(
        "--linker", choices=LINKERS, default="auto", help="what links libraries and programs (default: what is there)"
    )
    parser.add_argument(
        "--multiversion",
        nargs="?",
        const="auto",
        metavar="LEVELS",
        help="put versions for several processors into one artefact: v1,v3,v4 (default: each width of vectors)",
    )
    add_watch_arguments(parser)


def run(args: argparse.Namespace) -> int:
    from mlc.driver import collector_paused

    emitted = _emitted(args.emit)
    target = target_from(args).resolve()
    outputs = _outputs(args, emitted, target)
    request = request_from(args, name=outputs[0].name if outputs else args.name)
    if outputs and target.kind == "gpu":
        raise UnsupportedError(f"kernels for {target.name} are not put into artefacts", hint="use --emit=asm")
    for output in outputs:
        output.check(target)
    outputs = [output.linked_for(target, args.linker) for output in outputs]
    if args.multiversion:
        with collector_paused():
            return _finish(_write_versions(request, outputs, args), outputs, args.verbosity)
    _announce(request, args.verbosity)
    with collector_paused():
        compilation, loaded = _start(request, args)
        written = _write_stages(compilation, loaded, _base(args), emitted)
        if outputs:
            written += _write_artefacts(compilation, outputs, args)
    _tell(compilation, args)
    return _finish(written, outputs, args.verbosity)


def _tell(compilation: Compilation, args: argparse.Namespace) -> None:
    """Say how long the passes took, if asked, and what did not become f16."""
    if args.time_passes:
        compilation.manager.report()
    if args.verbosity >= 0:
        for name in compilation.kept_f32:
            print(printable(f"weight {name} stays f32: f16 does not hold it"))


def _finish(written: list[Path], outputs: list[Output], verbosity: int) -> int:
    """Say what was written and by which linker."""
    if verbosity >= 0:
        linkers = {output.path: f", linked by {output.toolchain}" for output in outputs if output.toolchain}
        for path in dict.fromkeys(written):
            print(f"wrote {path} ({path.stat().st_size:,} bytes{linkers.get(path, '')})")
    return 0


def _emitted(text: str | None) -> list[str]:
    names = [] if text is None else text.split(",")
    for name in names:
        if name not in EMITTED:
            raise UsageError(f"unknown stage {name!r} in --emit", hint=nearest(name, EMITTED))
    return names


def _base(args: argparse.Namespace) -> Path:
    """The output's path without extension, by default the model's name in this folder."""
    from mlc.stages import base_of

    if args.output and args.output.name in ("", "-"):
        raise UsageError(f"{str(args.output)!r} is no file to write to", hint="pass -o FILE")
    return base_of(args.output or Path(Path(args.model).name))


def _outputs(args: argparse.Namespace, emitted: list[str], target: Target) -> list[Output]:
    """The artefacts to write, checked before anything is compiled."""
    base = _base(args)
    if not emitted:
        paths = [args.output or base.with_name(base.name + LOADABLE[target.container])]
        return [Output.of(path, name=args.name, weights=args.weights) for path in paths]
    return [
        Output.of(_artefact_path(args, name), name=args.name, weights=args.weights, program=name == PROGRAM)
        for name in emitted
        if name in ARTEFACTS
    ]


def _artefact_path(args: argparse.Namespace, kind: str) -> Path:
    """Where ``--emit`` writes an artefact: a program just where -o says, which has no extension."""
    base = _base(args)
    if kind == PROGRAM and args.output:
        return args.output
    path = base.with_name(base.name + ARTEFACTS[kind])
    return path if kind != PROGRAM else path.with_name(path.name.removesuffix(".onnx"))


def _announce(request: Request, verbosity: int) -> None:
    """Say what ``native`` and the flags have come to; this machine's many features only where more is asked for."""
    from mlc.codegen.targets.resolve import NATIVE

    target = request.options().target
    if verbosity < 0:
        return
    threads = f"{request.threads} thread{'s' if request.threads > 1 else ''}"
    print(f"target {target.name} ({target.triple}, {target.tune or target.cpu or 'generic'}), {threads}")
    if verbosity > 0 or target.spec != NATIVE:
        print(f"features {' '.join(sorted(target.features)) or 'none beyond the baseline'}")


def _start(request: Request, args: argparse.Namespace) -> tuple[Compilation, LoadedModel | None]:
    """The compilation at its first stage, and the ONNX model that it comes from, if it does."""
    from mlc.driver import Compilation, import_source, load_source
    from mlc.stages import resume, stage_of

    path = Path(args.model)
    if stage_of(path):
        refuse_flags(args, f"{path} is a stage's text", FIXED_IN_TEXT)
        return resume(path, request.options(), name=request.name, watch=watch_from(args)), None
    loaded = load_source(request)
    name = request.name or loaded.name
    return Compilation.of(import_source(loaded, request), name, request.options(), watch_from(args)), loaded


def _write_stages(compilation: Compilation, loaded: LoadedModel | None, base: Path, emitted: list[str]) -> list[Path]:
    """Write the stages asked for, taking the compilation through them."""
    from mlc.driver import TEXT_STAGES
    from mlc.stages import StageWriter

    writer = StageWriter(base)
    if "onnx" in emitted:
        if loaded is None:
            raise UsageError("IR text has no ONNX stage any more")
        writer.onnx(loaded)
    for stage in TEXT_STAGES:
        if stage in emitted:
            if TEXT_STAGES.index(stage) < TEXT_STAGES.index(compilation.stage):
                raise UsageError(f"this is {compilation.stage} already: {stage} comes before it")
            writer.text(compilation.advance(stage))
    if {"llvm", "asm"} & set(emitted):
        frame = compilation.frame()
        if "llvm" in emitted:
            writer.llvm(frame)
        if "asm" in emitted:
            writer.assembly(frame)
    writer.finish(compilation.weights)
    return writer.written


def _write_artefacts(compilation: Compilation, outputs: list[Output], args: argparse.Namespace) -> list[Path]:
    from mlc.driver import build

    built = build(compilation.frame(), compilation.weights, cache=cache_from(args))
    return [path for output in outputs for path in output.write(built.artefact(output.name, embed=output.embed))]


def _write_versions(request: Request, outputs: list[Output], args: argparse.Namespace) -> list[Path]:
    """Compile the model for each version's processors and write artefacts that hold them all."""
    from mlc.codegen.targets.levels import levels_of
    from mlc.driver import build
    from mlc.multiversion import Versions, check_levels

    if not outputs or (_emitted(args.emit) and len(outputs) != len(_emitted(args.emit))):
        raise UsageError("--multiversion writes artefacts, not stages", hint="leave out --emit, or pass --emit=exe")
    if args.mcpu or args.mattr:
        raise UsageError("--multiversion takes processors by version", hint="write --multiversion=TARGET,TARGET:CPU")
    levels = levels_of(request.target.resolve(), args.multiversion)
    check_levels(levels)
    built: list[Built] = []
    for level in levels:
        version = replace(request, target=TargetChoice(*level.designation.split(":", 2)))
        _announce(version, args.verbosity)
        compilation, _ = _start(version, args)
        built.append(build(compilation.frame(), compilation.weights, cache=cache_from(args)))
        _tell(compilation, args)
    versions = Versions.of(built)
    return [path for output in outputs for path in output.write(versions.artefact(output.name, embed=output.embed))]
