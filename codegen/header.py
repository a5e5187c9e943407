"""The C header of an artefact: the interface of one model, documented, for C (99 on) and C++ (11 on)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mlc.codegen.program import Program, TensorSpec
from mlc.codegen.runtime import context as ctx
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import Extent, is_bounded

STATUS_TEXT = (
    "success",
    "a run-time shape is outside its bounds",
    "the processor lacks a feature the code was compiled for",
    "the weights are missing, cut short, misaligned or another model's",
    "an index in the inputs is out of range",
    "a result is larger than its bound",
    "a C function of an operator returned another number than 0",
)


def header_text(program: Program) -> str:
    """The header's text. Tensor names are quoted only in comments, with everything unusual replaced."""
    name = program.name
    guard = f"MLC_{name.upper()}_H"
    return f"""/* {name}: compiled by mlc. Link with {name}.o, lib{name}.a or {name}.so.
 *
{_facts(program)}
 */
#ifndef {guard}
#define {guard}

#include <stddef.h>
#include <stdint.h>

{_sizes(program)}

#ifdef __cplusplus
#define {name}_ALIGNED alignas({ctx.CACHE_LINE})
extern "C" {{
#elif defined(__STDC_VERSION__) && __STDC_VERSION__ >= 201112L
#define {name}_ALIGNED _Alignas({ctx.CACHE_LINE})
#else
#define {name}_ALIGNED __attribute__((aligned({ctx.CACHE_LINE})))
#endif

/* What the functions return. */
enum {name}_status {{
{_statuses(name)}
}};

/* A model ready to run. The caller owns its memory, which must not move; only the functions below read it. */
typedef struct {name}_ctx {{
    {name}_ALIGNED unsigned char opaque[{ctx.CONTEXT_BYTES}];
}} {name}_ctx;

{_functions(program)}

#ifdef __cplusplus
}}
#endif

#endif
"""


def _facts(program: Program) -> str:
    """What the model takes and gives, and what it was compiled for, as lines of a comment."""
    features = _features(program)
    bounds = program.borders.bounds if program.borders else None
    fixed = [[spec.shape for spec in specs] for specs in (program.inputs, program.outputs)]
    shapes = (bounds.inputs, bounds.outputs) if bounds else fixed
    lines = [
        *(f"in[{i}]   {_tensor(spec, shape)}" for i, (spec, shape) in enumerate(zip(program.inputs, shapes[0]))),
        *(f"out[{i}]  {_tensor(spec, shape)}" for i, (spec, shape) in enumerate(zip(program.outputs, shapes[1]))),
        *(f"dims[{i}] {line}" for i, line in enumerate(_dims(bounds) if bounds else ())),
        f"target  {program.target.triple}; processor features: {features}",
        *(f"level {i}  {_features(level)}" for i, level in enumerate(program.levels)),
        *(f"needs   int32_t {symbol}(...) of the operators' library: see mlc_operator.h" for symbol in program.symbols),
    ]
    return "\n".join(f" * {line}" for line in lines)


def _features(program: Program) -> str:
    return " ".join(sorted(program.target.features)) or "none beyond the baseline"


def _dims(bounds: Bounds) -> list[str]:
    """What the caller's array of extents holds."""
    given = [f"{s.name} in {s.low}..{s.high}" for s in bounds.symbols]
    return given + [f"{s.name} in {s.low}..{s.high}, written by the run" for s in bounds.found]


def _tensor(spec: TensorSpec, extents: Sequence[int]) -> str:
    shape = "x".join(f"({e})" if isinstance(e, Extent) else str(e) for e in extents) or "scalar"
    room = "at most " if is_bounded(extents) else ""
    name = re.sub(r"[^A-Za-z0-9_.:/-]|/(?=\*)|(?<=\*)/", "?", spec.name)
    return f"{name}: {spec.dtype} {shape}, {room}{spec.nbytes} bytes"


def _sizes(program: Program) -> str:
    """Counts and sizes as macros, for buffers that are arrays."""
    name = program.name
    file_bytes = ctx.WEIGHTS_PAYLOAD + program.weights_bytes if program.weights_bytes else 0
    bounds = program.borders.bounds if program.borders else None
    dims = len(bounds.symbols) + len(bounds.found) if bounds else 0
    macros = {
        "ABI_VERSION": f"{ctx.ABI_VERSION}",
        "INPUTS": f"{len(program.inputs)}",
        "OUTPUTS": f"{len(program.outputs)}",
        "INPUT_BYTES": _initializer(program.inputs),
        "OUTPUT_BYTES": _initializer(program.outputs),
        "DIMS": f"{dims}",
        "ARENA_BYTES": f"{program.arena_bytes}",
        "WEIGHTS_FILE_BYTES": f"{file_bytes}",
    }
    return "\n".join(f"#define {name}_{macro} {value}" for macro, value in macros.items())


def _initializer(specs: tuple[TensorSpec, ...]) -> str:
    return "{" + (", ".join(str(spec.nbytes) for spec in specs) or "0") + "}"


def _statuses(name: str) -> str:
    last = len(ctx.STATUS_NAMES) - 1  # C89 allows no comma behind it
    return "\n".join(
        f"    {name}_{status} = {code}{',' if code < last else ''} /* {text} */"
        for code, (status, text) in enumerate(zip(ctx.STATUS_NAMES, STATUS_TEXT, strict=True))
    )


def _functions(program: Program) -> str:
    name = program.name
    weights = "The code needs no weights: pass NULL and 0."
    if program.weights_bytes:
        weights = (
            "`weights` is the whole weights file, mapped or read into memory aligned to 64 bytes;\n"
            " * it must stay until the context is freed."
        )
    if program.weights_bytes and program.embedded_weights:
        weights = f"The weights are embedded: pass NULL and 0.\n * Otherwise {weights}"
    extents = "int64_t" if program.borders and program.borders.bounds.found else "const int64_t"
    dims = "`dims` is NULL: every shape is fixed"
    if program.borders:
        dims = (
            f"`dims` holds the {name}_DIMS extents listed above, from which the\n * true shapes follow; values outside "
            f"their bounds return {name}_BAD_SHAPE before anything is read"
        )
    threads = "The code runs on the calling thread only; `threads` is ignored."
    if program.threads:
        threads = (
            "`threads` counts the caller; 0 takes every processor of the caller's affinity mask. A quota set\n"
            " * by a container is no mask: pass the number then. When fewer can be started, or more than\n"
            f" * {ctx.MAX_THREADS} are asked for, {name}_threads tells how many run."
        )
    return f"""/* Prepare a context. {weights}
 * {threads} */
int32_t {name}_init({name}_ctx *ctx, const void *weights, size_t bytes, int32_t threads);

/* Run once. `in` and `out` hold one pointer per tensor, dense and row-major, aligned to its element; outputs
 * overlap neither inputs nor each other;
 * {dims};
 * `arena` is scratch memory of {name}_arena_size(dims) bytes, aligned to 64. Several threads may run one context at
 * once, each with an arena and outputs of its own: one of them uses the context's threads, the others run alone.
 * After fork() the child must prepare a context of its own. */
int32_t {name}_run(const {name}_ctx *ctx, const void *const *in, void *const *out, {extents} *dims, void *arena);

/* End the context's threads. Nothing may be running. The library can be unloaded then. */
void {name}_free({name}_ctx *ctx);

/* Threads that a run uses, the caller included. */
int32_t {name}_threads(const {name}_ctx *ctx);

/* Bytes of the arena. */
size_t {name}_arena_size(const int64_t *dims);

/* The version of this interface in the code that is linked: compare with {name}_ABI_VERSION. */
int32_t {name}_abi_version(void);

/* Names, types, shapes, target and kernels, as JSON. */
extern const char {name}_metadata[];{_choosing(program)}"""


def _choosing(program: Program) -> str:
    """The functions that versions for several processors add."""
    if not program.levels:
        return ""
    name = program.name
    return f"""

/* As {name}_init, but with no version above `most`: 0 is the one that asks least of the processor. */
int32_t {name}_init_level({name}_ctx *ctx, const void *weights, size_t bytes, int32_t threads, int32_t most);

/* The version that {name}_init chose: a number as listed at the top. */
int32_t {name}_level(const {name}_ctx *ctx);"""
