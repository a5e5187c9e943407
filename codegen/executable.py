"""Stand-alone programs: the C sources of ``runtime/harness`` around one model, linked by a C compiler."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mlc.codegen.artefact import Artefact
from mlc.codegen.program import Program, TensorSpec, item_bytes
from mlc.codegen.runtime import context as ctx
from mlc.codegen.toolchain import Toolchain
from mlc.dialects.bounds import Bounds, plain_symbol
from mlc.dialects.extents import Extent, Symbol, is_bounded
from mlc.errors import UnsupportedError

HARNESS = Path(__file__).parent / "runtime" / "harness"
MODEL_HEADER = "header_of_model.h"
"""Named apart from the harness's files, whatever the model is called."""

SOURCES = ("main.c", "tensor.c", "proto.c")

_ONNX_TYPES = {
    "float32": 1, "uint8": 2, "int8": 3, "uint16": 4, "int16": 5, "int32": 6, "int64": 7, "bool": 9, "float16": 10,
    "float64": 11, "uint32": 12, "uint64": 13, "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18,
    "float8_e5m2": 19, "float8_e5m2fnuz": 20,
}  # fmt: skip
"""TensorProto.DataType of the types whose elements are whole bytes there."""


def write_program(artefact: Artefact, path: Path, toolchain: Toolchain) -> None:
    """Write a program that reads inputs from files and runs the model.

    Raises UsageError when the toolchain fails or ``path`` can't be written, UnsupportedError for a model that calls C
    functions of operators: it can't know where they are.
    """
    if artefact.program.symbols:
        hint = "write an object (.o) and link it with the library that has them"
        raise UnsupportedError(
            f"the program would lack the C functions {', '.join(artefact.program.symbols)}", hint=hint
        )
    with tempfile.TemporaryDirectory(prefix="mlc-program-") as folder:
        work = Path(folder)
        artefact.write_object(work / "weighted_model.o")
        artefact.write_header(work / MODEL_HEADER)
        (work / "program.h").write_bytes((HARNESS / "program.h").read_bytes())
        for source in SOURCES:
            (work / source).write_bytes((HARNESS / source).read_bytes())
        (work / "model.c").write_text(model_source(artefact.program), "utf-8")
        toolchain.link_program(path, [*(work / s for s in SOURCES), work / "model.c", work / "weighted_model.o"])


def model_source(program: Program) -> str:
    """The C text that tells the harness of one model."""
    name = program.name
    features = " ".join(sorted(program.target.features)) or "none beyond the baseline"
    bounds = program.borders.bounds if program.borders else None
    symbols = (*bounds.symbols, *bounds.found) if bounds else ()
    fields = {
        "name": _quoted(name),
        "target": _quoted(f"{program.target.triple}, {program.target.tune or program.target.cpu or 'generic'}"),
        "features": _quoted(features),
        "inputs": "inputs",
        "outputs": "outputs",
        "input_count": f"{name}_INPUTS",
        "output_count": f"{name}_OUTPUTS",
        "weights_bytes": f"{name}_WEIGHTS_FILE_BYTES",
        "embedded": str(int(program.embedded_weights)),
        "threads": str(int(program.threads)),
        "context": "&context",
        "init": "init",
        "run": "run",
        "release": "release",
        "thread_count": "thread_count",
        "arena_size": f"{name}_arena_size",
        "dims": "dims" if bounds else "NULL",
        "dim_count": str(len(symbols)),
        "given_count": str(len(bounds.symbols) if bounds else 0),
        "values": "values" if bounds else "NULL",
        "shapes": "shapes" if bounds else "NULL",
        "levels": "levels" if program.levels else "NULL",
        "level": "level" if program.levels else "NULL",
    }
    rows = "\n".join(f"    .{field} = {value}," for field, value in fields.items())
    return f"""/* What the program must know of the model {name}. */
#include "{MODEL_HEADER}"
#include "program.h"

static {name}_ctx context;
{_tensors("inputs", program.inputs, bounds.inputs if bounds else None, symbols)}
{_tensors("outputs", program.outputs, bounds.outputs if bounds else None, symbols)}
{_dims(bounds) if bounds else ""}
static int32_t init(void *ctx, const void *weights, size_t bytes, int32_t threads)
{{
    return {name}_init(ctx, weights, bytes, threads);
}}

static int32_t run(const void *ctx, const void *const *in, void *const *out, const int64_t *dims, void *arena)
{{
    return {name}_run(ctx, in, out, {"dims" if not bounds or not bounds.found else "(int64_t *)dims"}, arena);
}}

static void release(void *ctx)
{{
    {name}_free(ctx);
}}

static int32_t thread_count(const void *ctx)
{{
    return {name}_threads(ctx);
}}

{_levels(program)}_Static_assert(sizeof context >= {ctx.CONTEXT_BYTES}, "the header is another version's");

const struct model model = {{
{rows}
}};
"""


def _levels(program: Program) -> str:
    """The versions' targets and the function that tells the chosen one."""
    if not program.levels:
        return ""
    names = ", ".join(_quoted(level.target.designation) for level in program.levels)
    return f"""static const char *const levels[] = {{{names}, NULL}};

static int32_t level(const void *ctx)
{{
    return {program.name}_level(ctx);
}}

"""


def _dims(bounds: Bounds) -> str:
    """The dims that get their values at run time, and how shapes follow from them."""
    symbols = (*bounds.symbols, *bounds.found)
    rows = "".join(f"    {{{_quoted(s.name)}, {s.low}, {s.high}}},\n" for s in symbols)
    lines = [
        f"    {kind}_shapes[{at}] = {_expression(extent, symbols)};\n"
        for kind, shapes in (("inputs", bounds.inputs), ("outputs", bounds.outputs))
        for at, extent in enumerate(extent for shape in shapes for extent in shape)
        if isinstance(extent, Extent)
    ]
    return f"""
static const struct dim dims[] = {{
{rows}}};
static int64_t values[] = {{{", ".join("-1" for _ in symbols)}}};

static void shapes(void)
{{
{"".join(lines)}}}
"""


@dataclass(frozen=True)
class _Text:
    """An expression in C."""

    text: str

    def apply(self, function: str, other: _Text | int) -> _Text:
        return _Text(f"{function}({self.text}, {other.text if isinstance(other, _Text) else other})")

    def __add__(self, other: _Text | int) -> _Text:
        return _Text(f"({self.text} + {other.text if isinstance(other, _Text) else f'({other})'})")

    __radd__ = __add__

    def __mul__(self, other: _Text | int) -> _Text:
        return _Text(f"({self.text} * {other.text if isinstance(other, _Text) else f'({other})'})")

    __rmul__ = __mul__

    def __floordiv__(self, other: _Text | int) -> _Text:
        return self.apply("floor_divide", other)


def _expression(extent: Extent, symbols: Sequence[Symbol]) -> str:
    """The value of an extent, in C."""

    def by(function: str) -> Callable[[Any, Any], Any]:
        return lambda a, b: a.apply(function, b) if isinstance(a, _Text) else b.apply(function, a)

    made = extent.evaluate(lambda symbol: _Text(f"values[{symbols.index(symbol)}]"), by("least"), by("greatest"))
    return made.text


def _tensors(
    kind: str, specs: tuple[TensorSpec, ...], shapes: Sequence[Sequence[int]] | None, symbols: Sequence[Symbol]
) -> str:
    """Arrays: the greatest shapes, one after the other, which of their extents are open, and the tensors.

    ``shapes`` are the true ones where some depend on ``symbols``.
    """
    files = file_names([spec.name for spec in specs])
    true = shapes or [spec.shape for spec in specs]
    extents = [str(extent) for spec in specs for extent in spec.shape]
    opened = [str(_open(extent, symbols)) for shape in true for extent in shape]
    at = 0
    rows: list[str] = []
    for spec, file, shape in zip(specs, files, true, strict=True):
        named = "x".join(f"({extent})" if isinstance(extent, Extent) else str(extent) for extent in shape)
        words = (
            *map(_quoted, (spec.name, file, spec.dtype, npy_descr(spec.dtype))),
            str(_ONNX_TYPES.get(spec.dtype, 0)),
            *map(str, (item_bytes(spec.dtype), spec.nbytes, spec.nbytes, len(spec.shape))),
            f"{kind}_shapes + {at}",
            f"{kind}_open + {at}" if is_bounded(shape) else "NULL",
            _quoted(named) if is_bounded(shape) else "NULL",
        )
        rows.append(f"    {{{', '.join(words)}}},\n")
        at += len(spec.shape)
    table = "".join(rows) or "    {0},\n"
    flags = f"static const int {kind}_open[] = {{{', '.join(opened)}}};\n" if any(map(is_bounded, true)) else ""
    return f"""
static int64_t {kind}_shapes[] = {{{", ".join(extents) or "0"}}};
{flags}static struct tensor {kind}[] = {{
{table}}};
"""


def _open(extent: int, symbols: Sequence[Symbol]) -> int:
    """0 for a number, n for the value of dim n - 1, -1 for what follows from dims."""
    if not isinstance(extent, Extent):
        return 0
    symbol = plain_symbol(extent)
    return -1 if symbol is None else 1 + symbols.index(symbol)


def file_names(names: list[str]) -> list[str]:
    """A file name for each tensor, without its extension: the tensor's own where that is one, and all different."""
    plain = [re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".-")[:100] for name in names]
    return [
        name if name and plain.count(name) == 1 else "_".join(filter(None, (name, str(index))))
        for index, name in enumerate(plain)
    ]


def npy_descr(dtype: str) -> str:
    """What a .npy file says of a dtype; of those that NumPy does not know, that they are so many bytes."""
    try:
        return np.dtype(dtype).str
    except TypeError:
        size = item_bytes(dtype)
        return f"{'<' if size > 1 else '|'}V{size}"


def _quoted(text: str) -> str:
    """A C string literal, with every unusual byte as an octal escape."""
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\?' else f"\\{b:03o}" for b in text.encode()) + '"'
