"""Driving a compilation: the stages of `mlc.pipeline` one after the other, then objects and packed weights.

`Compilation` is a model on its way, at one stage at a time; `build` takes it to the end.
"""

from __future__ import annotations

import gc
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntegerAttr, ModuleOp, StringAttr, i64

from mlc import knobs, pipeline
from mlc.build import Frame, build_frame
from mlc.codegen.artefact import Artefact
from mlc.codegen.object import compile_ir, warm_up
from mlc.codegen.program import Program, program_ir
from mlc.codegen.weights import WeightsImage
from mlc.dialects.bounds import BOUNDS, Bounds
from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.pass_manager import PassManager, Watch
from mlc.registry import make_context

if TYPE_CHECKING:
    from mlc.cache import Cache
    from mlc.dialects.context import CompilerContext
    from mlc.dialects.weights import WeightStore
    from mlc.frontends.onnx.import_ import ImportedModel
    from mlc.frontends.onnx.load import LoadedModel
    from mlc.request import Request

Array = np.ndarray[Any, np.dtype[Any]]
Names = tuple[tuple[str, str], ...]
"""Name and NumPy dtype name per tensor."""

TEXT_STAGES = ("graph", "fused", "kernels", "scheduled")
"""The stages that are IR: they can be written as text and resumed from."""

LEAST_PACKED = 1 << 30
MOST_GROWTH = 16
"""Bytes that packed weights may always have, and how many more for each byte of the model's."""

_SIGNATURE = ("mlc.inputs", "mlc.outputs")
_FLOPS = "mlc.flops"


@dataclass
class Compilation:
    """A model at one of `TEXT_STAGES`; ``advance`` takes it further.

    ``inputs`` and ``outputs`` are name and dtype per tensor, ``flops`` counts the floating-point operations of all
    products (0 while unknown: before stage ``fused``). ``kept_f32`` names the weights that f16 could not hold where it
    was asked for. ``bounds`` is there when dims get their values at run time. ``timed``: the code is to note how long
    its calls take. All but ``kept_f32`` and ``timed`` also stands in the module as attributes, so that text has it.
    """

    name: str
    module: ModuleOp
    options: pipeline.Options
    manager: PassManager
    weights: WeightStore
    inputs: Names
    outputs: Names
    stage: str = "graph"
    flops: int = 0
    kept_f32: tuple[str, ...] = ()
    bounds: Bounds | None = None
    timed: bool = False

    @staticmethod
    def of(imported: ImportedModel, name: str, options: pipeline.Options, watch: Watch | None = None) -> Compilation:
        """A model that was just imported."""
        inputs, outputs = (tuple((t.name, str(t.dtype)) for t in ts) for ts in (imported.inputs, imported.outputs))
        compilation = Compilation(
            identifier(name),
            imported.module,
            options,
            PassManager(make_context(weights=imported.weights), watch or Watch(verify_each=knobs.VERIFY_EACH.get())),
            imported.weights,
            inputs,
            outputs,
            bounds=imported.bounds,
        )
        compilation._sign()
        return compilation

    def advance(self, stage: str) -> Compilation:
        """Go on to a later text stage; nothing happens when it is this one."""
        steps: dict[str, Callable[[], None]] = {
            "fused": self._to_fused,
            "kernels": self._to_kernels,
            "scheduled": lambda: pipeline.to_scheduled(self.module, self.manager, self.options),
        }
        at, goal = TEXT_STAGES.index(self.stage), TEXT_STAGES.index(stage)
        for name in TEXT_STAGES[at + 1 : goal + 1]:
            steps[name]()
            self.stage = name
        return self

    def frame(self) -> Frame:
        """The kernels' LLVM IR, the calls, and where each weight goes."""
        self.advance("scheduled")
        return build_frame(
            self.module,
            name=self.name,
            inputs=self.inputs,
            outputs=self.outputs,
            target=self.options.target,
            threads=self.options.threads > 1,
            metadata={
                "flops": self.flops,
                "threads": self.options.threads,
                "dtype": self.options.dtype,
                "kept_f32": list(self.kept_f32),
            },
            bounds=self.bounds,
            timed=self.options.threads if self.timed else 0,
        )

    def _to_fused(self) -> None:
        from mlc.lowering.graph.store_half import KEPT
        from mlc.report.flops import count_flops

        pipeline.to_fused(self.module, self.manager, self.options)
        self.flops = count_flops(self.module)
        kept = self.module.attributes.pop(KEPT, None)
        self.kept_f32 = tuple(n.data for n in kept if isinstance(n, StringAttr)) if isinstance(kept, ArrayAttr) else ()
        self._sign()

    def _to_kernels(self) -> None:
        self.module = pipeline.to_kernels(self.module, cast("CompilerContext", self.manager.context))
        self._sign()

    def _sign(self) -> None:
        for name, tensors in zip(_SIGNATURE, (self.inputs, self.outputs)):
            entries = [DictionaryAttr({"name": StringAttr(n), "dtype": StringAttr(d)}) for n, d in tensors]
            self.module.attributes[name] = ArrayAttr(entries)
        if self.flops:
            self.module.attributes[_FLOPS] = IntegerAttr(self.flops, i64)
        if self.bounds:
            self.module.attributes[BOUNDS] = StringAttr(json.dumps(self.bounds.to_data()))


def signature_of(module: ModuleOp) -> tuple[Names, Names]:
    """Names and dtypes of a module's inputs and outputs; ModelError when the text does not say them."""
    found: list[Names] = []
    for name in _SIGNATURE:
        entries = module.attributes.get(name)
        if not isinstance(entries, ArrayAttr):
            raise ModelError(f"the module does not name its tensors: it has no attribute {name!r}")
        found.append(tuple(_named(entry) for entry in entries))
    return found[0], found[1]


def flops_of(module: ModuleOp) -> int:
    """The floating-point operations that a module's attributes tell of; 0 when they don't."""
    found = module.attributes.get(_FLOPS)
    return found.value.data if isinstance(found, IntegerAttr) else 0


def _named(entry: object) -> tuple[str, str]:
    if isinstance(entry, DictionaryAttr):
        name, dtype = entry.data.get("name"), entry.data.get("dtype")
        if isinstance(name, StringAttr) and isinstance(dtype, StringAttr):
            return name.data, dtype.data
    raise ModelError(f"{entry} does not name a tensor", hint='write {name = "x", dtype = "float32"}')


def identifier(name: str) -> str:
    """A C identifier made of a model's name."""
    text = "".join(c if c.isascii() and (c.isalnum() or c == "_") else "_" for c in name)
    return text if text[:1].isalpha() or text[:1] == "_" else f"model_{text}"


@dataclass(frozen=True)
class Built:
    """A compiled model: its program, its kernels' objects in any order, and its packed weights."""

    program: Program
    kernels: tuple[bytes, ...]
    weights: WeightsImage | None

    @staticmethod
    def of(program: Program, kernels: Sequence[bytes], weights: WeightsImage | None) -> Built:
        """The program made to expect just these weights."""
        expecting = replace(program, weights_sha256=weights.sha256) if weights else program
        return Built(expecting, tuple(kernels), weights)

    def artefact(self, name: str | None = None, *, embed: bool = False) -> Artefact:
        """What to ship or to load, with symbols called ``name``."""
        program = replace(self.program, name=name or self.program.name, embedded_weights=embed)
        (frame,) = compile_ir([(program.name, program_ir(program))], program.target, jobs=1)
        return Artefact(program, (frame, *self.kernels), self.weights.region.view if self.weights else None)

    def library(self) -> bytes:
        """The shared library to load into this process, its weights apart."""
        return self.artefact().shared_library().to_bytes()


def build(frame: Frame, weights: WeightStore, *, cache: Cache | None = None, image: Path | None = None) -> Built:
    """Compile the kernels, and meanwhile pack the weights: into the file ``image``, else into memory."""
    with ThreadPoolExecutor(1, "mlc-pack") as pool:
        packing = pool.submit(pack_weights, frame, weights, image)
        kernels = compile_kernels(frame.kernels, frame.program, cache)
        packed = packing.result()
    return Built.of(frame.program, kernels, packed)


def pack_weights(frame: Frame, weights: WeightStore, image: Path | None) -> WeightsImage | None:
    """The weights as the kernels read them, one tensor in memory at a time; None when there are none.

    Raises ModelError when they are out of all proportion to what the model holds.
    """
    size = frame.payload.size
    if not size:
        return None
    if size > LEAST_PACKED + MOST_GROWTH * weights.held_bytes:
        raise ModelError(
            f"the model holds {weights.held_bytes:,} bytes of constants, and {size:,} of them when they are expanded",
            hint="let large constants of few values be inputs",
        )
    packed = WeightsImage.create(image, size) if image else WeightsImage.allocate(size)
    target = np.frombuffer(packed.payload, np.uint8)
    for offset, array in frame.payload.arrays(weights):
        goal = target[offset : offset + array.nbytes].view(array.dtype).reshape(array.shape)
        np.copyto(goal, array)
    packed.seal()
    return packed


def compile_kernels(texts: Sequence[tuple[str, str]], program: Program, cache: Cache | None) -> list[bytes]:
    """Objects of kernels given as (name, IR text), those that the cache holds from there."""
    jobs = knobs.JOBS.get()
    if cache is None:
        return compile_ir(texts, program.target, jobs=jobs)
    keys = [cache.kernel_key(text, program.target) for _, text in texts]
    objects = [cache.kernel(key) for key in keys]
    missing = [index for index, found in enumerate(objects) if found is None]
    for index, made in zip(missing, compile_ir([texts[i] for i in missing], program.target, jobs=jobs)):
        objects[index] = made
        cache.keep_kernel(keys[index], made)
    return [found for found in objects if found is not None]


@contextmanager
def collector_paused() -> Generator[None]:
    """No garbage collection meanwhile: IR is large, long-lived and full of cycles, so collecting finds little."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def load_source(request: Request) -> LoadedModel:
    """Load the request's model, while the compile workers start in the background.

    Raises UsageError for what mlc itself wrote: later stages of a model.
    """
    path = request.path()
    if path is not None and path.suffix in (".mlir", ".so"):
        raise UsageError(f"{path} is no ONNX model, but what was made of one", hint="pass the .onnx file")
    warm_up(knobs.JOBS.get())
    from mlc.frontends.onnx.load import load_model

    return load_model(request.source, external_root=request.external_root)


def open_dims(loaded: LoadedModel, request: Request) -> bool:
    """Whether the model has dims that the request does not bind."""
    from mlc.frontends.onnx.shapes import declared_inputs, leaves_open

    return leaves_open(declared_inputs(loaded), request.shapes, request.dims)


def import_source(loaded: LoadedModel, request: Request, arrays: Mapping[str, Array] | None = None) -> ImportedModel:
    """The model in hlt, for the request's shapes or for arrays like these."""
    from mlc.frontends.onnx.import_ import import_model, specialize
    from mlc.frontends.onnx.parts import is_plain, refusal

    if arrays is not None:
        return specialize(loaded, arrays)
    if not is_plain(loaded):
        raise UnsupportedError(refusal(loaded), node=loaded.name)
    return import_model(loaded, shapes=request.shapes, dims=request.dims)


def compile_model(
    loaded: LoadedModel,
    request: Request,
    arrays: Mapping[str, Array] | None = None,
    *,
    cache: Cache | None = None,
    image: Path | None = None,
) -> tuple[Built, tuple[str, ...]]:
    """Import and compile; with ``arrays``, for calls with arrays like these.

    Also returns the names of the inputs for whose values alone the code is right. Raises what importing raises, and
    UnsupportedError for what has no kernel.
    """
    with collector_paused():
        imported = import_source(loaded, request, arrays)
        built = build_imported(imported, request, request.name or loaded.name, cache=cache, image=image)
        return built, imported.fixed


def build_imported(
    imported: ImportedModel, request: Request, name: str, *, cache: Cache | None = None, image: Path | None = None
) -> Built:
    """The rest of the way, for a model that is in hlt already."""
    with collector_paused():
        compilation = Compilation.of(imported, name, request.options())
        compilation.timed = request.timed
        frame = compilation.frame()
        return build(frame, imported.weights, cache=cache, image=image)
