"""Flags that several commands share: which model, for which shapes and machine, and with what inputs."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from mlc.errors import UsageError
from mlc.request import DTYPES, Request, TargetChoice

if TYPE_CHECKING:
    from mlc.api import Maker
    from mlc.cache import Cache
    from mlc.dialects.bounds import Where
    from mlc.emulation import EmulatedModel
    from mlc.model import CompiledModel

T = TypeVar("T")

FIXED_IN_TEXT = ("--shapes", "--dim", "--external-root")
"""What the text of a stage has settled."""
FIXED_IN_LIBRARIES = (
    *FIXED_IN_TEXT,
    *("--target", "--mcpu", "--mattr", "-O", "--strict", "--dtype", "--accumulate", "--emulator"),
)
"""What a shared library has settled."""

_SHAPE = re.compile(r"(?P<name>.+):(?P<dims>\d+(\.\.\d+)?(x\d+(\.\.\d+)?)*|scalar)")


def add_model_arguments(parser: argparse.ArgumentParser, *, metavar: str = "MODEL") -> None:
    """The model, its shapes, and how to compile it; `request_from` reads them."""
    parser.add_argument("model", metavar=metavar, help="an ONNX file")
    parser.add_argument(
        "--shapes",
        action="append",
        default=[],
        metavar="NAME:1x3x224x224",
        help="shape of an input whose dims are symbolic (again for each input)",
    )
    parser.add_argument(
        "--dim",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="extent of a symbolic dim, or a range of them like 1..512 (again for each dim)",
    )
    parser.add_argument("--target", default="native", help="machine to compile for (see `mlc targets`)")
    parser.add_argument("--mcpu", default="", metavar="CPU", help="LLVM's name of the processor to tune for")
    parser.add_argument("--mattr", default="", metavar="+A,-B", help="processor features to add and to leave out")
    parser.add_argument(
        "--threads",
        type=int,
        metavar="N",
        help="threads of a run (default: all that the target has)",
    )
    parser.add_argument("-O", dest="opt_level", type=int, default=3, metavar="LEVEL", help="0 to 3 (default: 3)")
    parser.add_argument("--strict", action="store_true", help="the same bits on every machine, at the price of speed")
    parser.add_argument("--dtype", choices=DTYPES, default="f32", help="what f32 tensors are stored in (default: f32)")
    parser.add_argument(
        "--accumulate", choices=DTYPES, default="f32", help="what sums of f16 are kept in (default f32)"
    )
    parser.add_argument("--no-cache", action="store_true", help="neither read nor write the cache")
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py",
        help="run this first: it registers custom operators (again for each file)",
    )
    parser.add_argument("--external-root", metavar="DIR", help="one more folder beneath which weights may lie")


def target_from(args: argparse.Namespace) -> TargetChoice:
    """The machine that the flags of `add_model_arguments` name."""
    return TargetChoice(args.target, args.mcpu, args.mattr)


def request_from(args: argparse.Namespace, *, name: str | None = None) -> Request:
    """The compilation that the flags of `add_model_arguments` ask for."""
    target = target_from(args)
    return Request(
        args.model,
        target=target,
        shapes=_once("shape", map(parse_shape, args.shapes)),
        dims=_once("dim", map(parse_dim, args.dim)),
        threads=target.default_threads() if args.threads is None else args.threads,
        opt_level=args.opt_level,
        strict=args.strict,
        name=name,
        external_root=args.external_root,
        dtype=args.dtype,
        accumulate=args.accumulate,
    )


def cache_from(args: argparse.Namespace) -> Cache | None:
    """The cache, unless the flags turn it off."""
    from mlc.cache import Cache

    return None if args.no_cache else Cache.open()


def open_model(args: argparse.Namespace) -> CompiledModel:
    """The model that the flags name: compiled from ONNX, or loaded when it is a shared library."""
    from mlc.api import Maker, load

    if args.model.endswith(".so"):
        refuse_flags(args, f"{args.model} is compiled already", FIXED_IN_LIBRARIES)
        return load(args.model, threads=args.threads)
    return Maker(request_from(args), cache_from(args)).model()


def refuse_flags(args: argparse.Namespace, reason: str, flags: Iterable[str]) -> None:
    """Raise UsageError, for that reason, when ``args`` give one of these flags of `add_model_arguments`."""
    scratch = argparse.ArgumentParser(add_help=False)
    add_model_arguments(scratch)
    add_emulator_argument(scratch)
    defaults = {flag: action for action in scratch._actions for flag in action.option_strings}
    for flag in flags:
        action = defaults[flag]
        if getattr(args, action.dest, action.default) != action.default:
            raise UsageError(f"{reason}: {flag} comes too late", hint="leave it out")


def add_emulator_argument(parser: argparse.ArgumentParser) -> None:
    """How to run code for another machine; `runnable_model` reads it."""
    parser.add_argument(
        "--emulator",
        default="",
        metavar="COMMAND",
        help="run code for another machine with this (default: qemu-user or node, as the target needs)",
    )


def runnable_model(maker: Maker, args: argparse.Namespace) -> CompiledModel | EmulatedModel:
    """The model in this process; under an emulator when one is asked for or the target's code can't run here."""
    from mlc.emulation import EmulatedModel, find_emulator, runs_here

    target = maker.request.target.resolve()
    if not args.emulator and (runs_here(target) or target.kind == "gpu"):
        return maker.model()
    return EmulatedModel.of(maker.built(), find_emulator(target, args.emulator))


def count(text: str) -> int:
    """The value of a flag that counts; for ``type=``."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 0")
    return int(text)


def amount(text: str) -> float:
    """The value of a flag that measures; for ``type=``."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of at least 0")
    return value


def _once(what: str, pairs: Iterable[tuple[str, T]]) -> dict[str, T]:
    found: dict[str, T] = {}
    for name, value in pairs:
        if name in found:
            raise UsageError(f"the {what} {name!r} is given twice")
        found[name] = value
    return found


def parse_shape(text: str) -> tuple[str, tuple[int | str, ...]]:
    """``x:1x3x224x224`` as name and shape; the name may hold colons. A dim may be a range: ``1..512``."""
    match = _SHAPE.fullmatch(text)
    if match is None:
        raise UsageError(f"bad shape {text!r}", hint="write NAME:1x3x224x224, and NAME:scalar for rank 0")
    dims = match["dims"]
    return match["name"], () if dims == "scalar" else tuple(
        int(dim) if dim.isdigit() else dim for dim in dims.split("x")
    )


def parse_dim(text: str) -> tuple[str, int | str]:
    """``batch=1`` as name and extent; ``seq=1..512`` and ``total=past + 1`` have texts."""
    name, equals, value = text.rpartition("=")
    if not (name and equals and value):
        raise UsageError(f"bad dim {text!r}", hint="write --dim batch=1, or --dim seq=1..512")
    return name, int(value) if value.removeprefix("-").isdecimal() else value


def add_input_arguments(parser: argparse.ArgumentParser) -> None:
    """Where inputs come from; `inputs_from` reads them."""
    from mlc.arrays import FILLS

    parser.add_argument(
        "-i",
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="an input from a .npy or .pb file, or all inputs from a .npz (again for each file)",
    )
    parser.add_argument("--fill", choices=FILLS, default="random", help="what other inputs hold (default: random)")
    parser.add_argument("--seed", type=count, default=0, help="seed of random inputs (default: 0)")


def inputs_from(
    args: argparse.Namespace, model: CompiledModel | EmulatedModel, where: Where = "middle"
) -> dict[str, Any]:
    """Arrays for every input of ``model``: from files, the rest made up; ``where`` says which dims within bounds."""
    from mlc.arrays import make, read_inputs
    from mlc.model import CompiledModel

    given = read_inputs(args.input, [spec.name for spec in model.inputs])
    specs = model.inputs
    if isinstance(model, CompiledModel):
        bounds = model.executable.bounds if model.is_static else None
    else:
        bounds = model.bounds
    if bounds:
        settled = [given[spec.name].shape if spec.name in given else None for spec in specs]
        shapes = bounds.input_shapes(settled, where)
        specs = [replace(spec, shape=shape) for spec, shape in zip(specs, shapes)]
    rest = [spec for spec in specs if spec.name not in given]
    made = make(rest, args.fill, args.seed)
    return {spec.name: given[spec.name] if spec.name in given else made[spec.name] for spec in model.inputs}
