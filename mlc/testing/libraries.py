"""Run shared libraries of a foreign processor under its emulator: many models in one process.

machine = Emulated(find_target("armv7"), "arm-linux-gnueabihf-gcc", ("qemu-arm",))
results = run_libraries(machine, [Job(compile_module(module, machine.target), inputs)], folder)
"""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from mlc.testing.require import require_tool

if TYPE_CHECKING:
    from onnx import ModelProto
    from xdsl.dialects.builtin import ModuleOp

    from mlc.codegen.artefact import Artefact
    from mlc.codegen.targets import Target
    from mlc.dialects.weights import WeightStore
    from mlc.testing.cross import Emulated
    from mlc.testing.programs import Program

Array: TypeAlias = NDArray[Any]

RUNNER = r"""
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { GUARD = 64, MOST = 256, CONTEXT = 1 << 14 };

typedef struct { char path[512]; size_t size; unsigned char *at; } tensor;

/* Memory with a pattern on either side; inputs come from their files. */
static void allocate(tensor *t, int load) {
  size_t whole = (t->size + 2 * GUARD + 63) / 64 * 64;
  t->at = (unsigned char *)aligned_alloc(64, whole) + GUARD;
  memset(t->at - GUARD, 0xA5, whole);
  if (!load) return;
  FILE *file = fopen(t->path, "rb");
  if (!file || fread(t->at, 1, t->size, file) != t->size) exit(101);
  fclose(file);
}

static int intact(const tensor *t) {
  for (int i = 1; i <= GUARD; i++)
    if (t->at[-i] != 0xA5 || t->at[t->size + i - 1] != 0xA5) return 0;
  return 1;
}

static void *function(void *library, const char *model, const char *what) {
  char name[256];
  snprintf(name, sizeof name, "%s_%s", model, what);
  void *found = dlsym(library, name);
  if (!found) { fprintf(stderr, "%s\n", dlerror()); exit(102); }
  return found;
}

static int run(const char *path, const char *model, int threads, int served,
               tensor *in, int ins, tensor *out, int outs) {
  void *library = dlopen(path, RTLD_NOW);
  if (!library) { fprintf(stderr, "%s\n", dlerror()); exit(103); }
  int32_t (*init)(void *, const void *, size_t, int32_t) = function(library, model, "init");
  int32_t (*go)(void *, void **, void **, const int64_t *, void *) = function(library, model, "run");
  int32_t (*count)(void *) = function(library, model, "threads");
  size_t (*arena_size)(const int64_t *) = function(library, model, "arena_size");
  void (*end)(void *) = function(library, model, "free");
  void *context = aligned_alloc(64, CONTEXT), *inputs[MOST], *outputs[MOST];
  tensor arena = {.size = arena_size(NULL)};
  allocate(&arena, 0);
  for (int i = 0; i < ins; i++) allocate(&in[i], 1), inputs[i] = in[i].at;
  for (int i = 0; i < outs; i++) allocate(&out[i], 0), outputs[i] = out[i].at;
  int32_t status = init(context, NULL, 0, threads);
  if (status) return status;
  if (count(context) != served) return 104;
  for (int i = 0; i < 2 && !status; i++) status = go(context, inputs, outputs, NULL, arena.at);
  end(context);
  int clean = intact(&arena);
  for (int i = 0; i < ins; i++) clean &= intact(&in[i]);
  for (int i = 0; i < outs; i++) clean &= intact(&out[i]);
  for (int i = 0; i < outs && !status; i++) {
    FILE *file = fopen(out[i].path, "wb");
    if (!file || fwrite(out[i].at, 1, out[i].size, file) != out[i].size || fclose(file)) exit(105);
  }
  dlclose(library);
  return status ? status : clean ? 0 : 106;
}

int main(int argc, char **argv) {
  static tensor in[MOST], out[MOST];
  char path[512], model[256];
  int threads, served, ins, outs;
  FILE *list = fopen(argv[1], "r");
  while (list && fscanf(list, "%511s %255s %d %d %d %d", path, model, &threads, &served, &ins, &outs) == 6) {
    for (int i = 0; i < ins; i++) if (fscanf(list, "%511s %zu", in[i].path, &in[i].size) != 2) return 1;
    for (int i = 0; i < outs; i++) if (fscanf(list, "%511s %zu", out[i].path, &out[i].size) != 2) return 1;
    printf("%d\n", run(path, model, threads, served, in, ins, out, outs));
    fflush(stdout);
  }
  return 0;
}
"""
"""Runs the models of a list, each twice, and prints their status: 104 another number of threads, 106 memory beside
a buffer was written.
"""


@dataclass(frozen=True)
class Job:
    """A model to run on some inputs; its artefact embeds its weights."""

    artefact: Artefact
    inputs: Sequence[Array]
    threads: int = 1

    @property
    def served(self) -> int:
        """How many threads run it: one where it has no work to share."""
        return self.threads if self.artefact.program.threads else 1


@dataclass(frozen=True)
class Outcome:
    """What a run gave: the status (0 is success), and the outputs where it succeeded."""

    status: int
    outputs: tuple[Array, ...]


def compile_module(
    module: ModuleOp, target: Target, *, threads: int = 1, weights: WeightStore | None = None
) -> Artefact:
    """``@main`` of a module of hlt, compiled as ``mlc compile`` does; the module is left as it is."""
    from xdsl.dialects.func import FuncOp

    from mlc import knobs
    from mlc.dialects.hlt.dtypes import numpy_dtype
    from mlc.dialects.weights import WeightStore
    from mlc.driver import Compilation, build
    from mlc.pass_manager import PassManager, Watch
    from mlc.pipeline import Options
    from mlc.registry import make_context

    store = WeightStore() if weights is None else weights
    copy = module.clone()
    main = next(op for op in copy.ops if isinstance(op, FuncOp) and op.sym_name.data == "main")
    types = (main.function_type.inputs, main.function_type.outputs)
    inputs, outputs = (
        tuple((f"{prefix}{i}", str(numpy_dtype(t.element_type))) for i, t in enumerate(ts))  # pyright: ignore
        for prefix, ts in zip("xy", types)
    )
    manager = PassManager(make_context(weights=store), Watch(verify_each=knobs.VERIFY_EACH.get()))
    compilation = Compilation("model", copy, Options(target, threads), manager, store, inputs, outputs)
    return build(compilation.frame(), store).artefact(embed=True)


@dataclass(frozen=True)
class Case:
    """A model with inputs and its results in float64, and those of a plain float32 program."""

    job: Job
    expected: tuple[Array, ...]
    plain: tuple[Array, ...]

    def complaints(self, outcome: Outcome) -> list[str]:
        """What is wrong with an outcome under the policy for whole models."""
        from mlc.testing.models import compare

        if outcome.status:
            return [f"status {outcome.status}"]
        names = [spec.name for spec in self.job.artefact.program.outputs]
        triples = zip(names, outcome.outputs, self.expected, self.plain, strict=True)
        verdicts = [compare(name, actual, wide, plain=plain) for name, actual, wide, plain in triples]
        return [f"{v.name}: {v.message}" for v in verdicts if not v.ok]


def onnx_cases(
    model: ModelProto,
    target: str,
    threads: Sequence[int] = (1, 2),
    *,
    mcpu: str = "",
    dtype: Literal["f32", "f16"] = "f32",
) -> list[Case]:
    """An ONNX model of static shapes on random inputs, compiled once and run on some numbers of threads."""
    from mlc.driver import compile_model, import_source, load_source
    from mlc.request import Request, TargetChoice
    from mlc.testing.models import evaluations

    request = Request(model.SerializeToString(), TargetChoice(target, mcpu), dtype=dtype)
    loaded = load_source(request)
    imported = import_source(loaded, request)
    random = np.random.default_rng(1)
    shapes = [[int(extent) for extent in info.shape or ()] for info in imported.inputs]
    arrays = [random.standard_normal(s).astype(i.dtype) for s, i in zip(shapes, imported.inputs)]
    wide, plain = evaluations(imported, arrays, request.options())
    built, _ = compile_model(loaded, replace(request, threads=max(threads)))
    artefact = built.artefact("model", embed=True)
    return [Case(Job(artefact, arrays, n), wide, plain) for n in threads]


def program_case(program: Program, target: Target, threads: int) -> Case:
    """A drawn program, compiled for a number of threads."""
    from mlc.dialects.interpreters import run_function

    artefact = compile_module(program.module, target, threads=threads)
    plain = run_function(program.module, program.inputs, plain=True)
    return Case(Job(artefact, program.inputs, threads), program.reference(widen=True), plain)


def run_libraries(machine: Emulated, jobs: Sequence[Job], folder: Path) -> list[Outcome]:
    """Link the artefacts to shared libraries and run them all in one process of the emulator.

    Skips the test (fails it in CI) where compiler or emulator are missing. Raises AssertionError where the process
    ends early.
    """
    compiler, emulator = require_tool(machine.compiler), require_tool(machine.emulator[0])
    source, program = folder / "runner.c", folder / "runner"
    source.write_text(RUNNER)
    subprocess.run([compiler, "-O1", "-o", program, source, "-ldl", "-lpthread"], check=True)
    outputs = [[folder / f"{n}.out{i}" for i in range(len(job.artefact.program.outputs))] for n, job in enumerate(jobs)]
    lines = [line for n, job in enumerate(jobs) for line in _place(job, n, outputs[n], folder)]
    (folder / "list").write_text("\n".join(lines) + "\n")
    sysroot = f"/usr/{machine.compiler.removesuffix('-gcc')}"
    command = [emulator, *machine.emulator[1:], "-L", sysroot, program, folder / "list"]
    done = subprocess.run(command, check=False, timeout=600, capture_output=True, text=True)
    statuses = [int(line) for line in done.stdout.split()]
    said = done.stderr.strip()
    assert len(statuses) == len(jobs), (
        f"model {len(statuses)} of {len(jobs)} ended the process: {done.returncode} {said}"
    )
    return [_outcome(job, status, files) for job, status, files in zip(jobs, statuses, outputs)]


def _place(job: Job, number: int, outputs: Sequence[Path], folder: Path) -> list[str]:
    """Write what a job needs; returns its lines of the list."""
    program = job.artefact.program
    library = folder / f"{number}.so"
    job.artefact.write_shared_library(library)
    lines = [f"{library} {program.name} {job.threads} {job.served} {len(job.inputs)} {len(outputs)}"]
    for i, array in enumerate(job.inputs):
        file = folder / f"{number}.in{i}"
        file.write_bytes(np.ascontiguousarray(array).tobytes())
        lines.append(f"{file} {array.nbytes}")
    return lines + [f"{file} {spec.nbytes}" for file, spec in zip(outputs, program.outputs)]


def _outcome(job: Job, status: int, files: Sequence[Path]) -> Outcome:
    if status:
        return Outcome(status, ())
    specs = job.artefact.program.outputs
    return Outcome(0, tuple(np.frombuffer(f.read_bytes(), s.dtype).reshape(s.shape) for f, s in zip(files, specs)))
