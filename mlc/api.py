"""`mlc.compile` and `mlc.load`."""

from __future__ import annotations

import logging
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np

from mlc.cache import LIBRARY, WEIGHTS, Cache
from mlc.codegen.image import Image
from mlc.codegen.jit import Library, Session
from mlc.codegen.processors import available_processors
from mlc.codegen.weights import WeightsImage
from mlc.errors import ModelError, UnsupportedError, UsageError
from mlc.model import Array, CompiledModel, Executable, TensorInfo
from mlc.request import Request, Source, TargetChoice
from mlc.widen import History

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact
    from mlc.driver import Built
    from mlc.frontends.onnx.import_ import OutputForm
    from mlc.frontends.onnx.load import LoadedModel

_LOG = logging.getLogger("mlc")


def compile(
    model: Source,
    *,
    target: str = "native",
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    dims: Mapping[str, int | str] | None = None,
    threads: int | None = None,
    opt_level: int = 3,
    strict: bool = False,
    cache: bool = True,
    name: str | None = None,
    external_root: str | os.PathLike[str] | None = None,
    mcpu: str = "",
    mattr: str = "",
    dtype: Literal["f32", "f16"] = "f32",
    accumulate: Literal["f32", "f16"] = "f32",
) -> CompiledModel:
    """Compile an ONNX model for this process.

    - ``model``: a path, the bytes of a file, or an ``onnx.ModelProto``.
    - ``target``: a name of `mlc targets`; it must be able to run here. ``mcpu`` and ``mattr`` refine it as LLVM does.
    - ``shapes`` (by input) and ``dims`` (by symbolic dim): extents of what the model leaves open, as numbers, or as
      ranges ``"1..512"`` to compile once for all of them. With some still open the model is compiled when it is
      called: for the shapes of the call at first, and for a range of them when a dim has had three values. 16 of
      these are kept. A model in which shapes depend on the values of inputs is compiled for each set of these values.
    - ``threads``: threads of a call, the caller included; None takes all processors that this process may use.
    - ``opt_level``: 0 to 3. ``strict``: the same bits on every machine, at the price of speed.
    - ``cache``: look up and keep the result on disk (``MLC_CACHE_DIR``).
    - ``name``: what the model calls itself, by default after its file.
    - ``dtype``: "f16" stores weights and the tensors between kernels in half precision; inputs and outputs keep their
      types. Kernels compute in f32 and saturate what they store. ``accumulate``: "f16" keeps sums of products in f16,
      too, where the processor computes in it.
    - ``external_root``: one more folder beneath which external data may lie.

    Raises ModelError, UnsupportedError (the model is valid, but part of it can't be compiled) and UsageError.
    """
    request = Request(
        model,
        target=TargetChoice(target, mcpu, mattr),
        shapes={key: _extents(key, value) for key, value in _mapping("shapes", shapes).items()},
        dims={key: _extent(value) for key, value in _mapping("dims", dims).items()},
        threads=available_processors() if threads is None else threads,
        opt_level=opt_level,
        strict=strict,
        name=name,
        external_root=None if external_root is None else os.fspath(external_root),
        dtype=dtype,
        accumulate=accumulate,
    )
    return Maker(request, Cache.open() if cache else None).model()


def _mapping(what: str, given: Any) -> Mapping[str, Any]:
    if given is not None and not isinstance(given, Mapping):
        raise UsageError(f"{what} is a {type(given).__name__}, not a dict", hint=f"pass {what}={{NAME: ...}}")
    return cast("Mapping[str, Any]", given or {})


def _extents(name: str, shape: Any) -> tuple[Any, ...]:
    if not isinstance(shape, Sequence | np.ndarray) or isinstance(shape, str):
        raise UsageError(f"shape {shape!r} of {name!r} is no sequence of extents", hint="write (1, 3, 224, 224)")
    return tuple(map(_extent, cast("Sequence[Any]", shape)))


def _extent(value: Any) -> Any:
    """NumPy's integers as Python's; anything else as it is."""
    return int(cast(int, value)) if isinstance(value, np.integer) else value


def load(path: str | os.PathLike[str], *, threads: int | None = None) -> CompiledModel:
    """Load a shared library that `CompiledModel.save` or ``mlc compile`` wrote. This runs its code: trust it first.

    Weights that are not embedded are taken from ``NAME.weights`` beside it. ``threads`` is as for `compile`. Raises
    UsageError for what is no such library, ModelError when the weights are missing or another model's,
    UnsupportedError when it was made for another processor.
    """
    file = Path(path)
    name = _model_name(file)
    library = Library.open(file)
    beside = file.with_name(f"{name}.weights")
    weights = WeightsImage.open(beside) if beside.exists() and not _embeds(library, name) else None
    session = Session(library, name, weights=weights, threads=threads or available_processors())
    executable = Executable(session)
    return CompiledModel(name, executable.inputs, executable.outputs, executable=executable)


def _embeds(library: Library, name: str) -> bool:
    from mlc.codegen.jit import read_metadata

    return bool(read_metadata(library, name)["weights"]["embedded"])


def _model_name(file: Path) -> str:
    """The symbol prefix of a library, from its dynamic symbols."""
    from elftools.common.exceptions import ELFError  # pyright: ignore[reportMissingTypeStubs]
    from elftools.elf.elffile import ELFFile  # pyright: ignore[reportMissingTypeStubs]

    try:
        with file.open("rb") as stream:
            elf: Any = ELFFile(stream)
            symbols: list[str] = [symbol.name for symbol in elf.get_section_by_name(".dynsym").iter_symbols()]
    except OSError as error:
        raise UsageError(f"can't open {file}: {error.strerror}") from error
    except (ELFError, AttributeError) as error:
        raise UsageError(f"{file} is no shared library", hint="load what `mlc compile -o MODEL.so` wrote") from error
    suffix = "_metadata"
    names = [name.removesuffix(suffix) for name in symbols if name.endswith(suffix)]
    if len(names) != 1:
        raise UsageError(f"{file} was not written by mlc: it exports no model")
    return names[0]


class Maker:
    """Makes the code of one request: from the cache, or by compiling."""

    def __init__(self, request: Request, cache: Cache | None) -> None:
        self.request = request
        self.cache = cache
        self.history = History()

    @cached_property
    def loaded(self) -> LoadedModel:
        """The ONNX model, read when it is first needed."""
        from mlc.driver import load_source

        return load_source(self.request)

    def model(self) -> CompiledModel:
        """The model, compiled now if all its shapes are known."""
        found = self._cached(self.request)
        if found is not None:
            return self._fixed(found, None)
        self._check_target()
        from mlc.driver import open_dims
        from mlc.frontends.onnx.node import DataDependentError
        from mlc.frontends.onnx.parts import is_plain

        if not is_plain(self.loaded):
            from mlc.parts import PartedModel

            return PartedModel(self.request.name or self.loaded.name, self.loaded, self._part)
        if open_dims(self.loaded, self.request):
            return self._open()
        try:
            return self._fixed(*self._compiled(self.request, None))
        except DataDependentError as error:
            if not error.arguments:
                raise
            return self._open()

    def _open(self) -> CompiledModel:
        """The model, to be compiled for the arrays of each call: their shapes, and values that shapes depend on."""
        from mlc.frontends.onnx.shapes import declared_inputs, declared_outputs

        signature = (declared_inputs(self.loaded), declared_outputs(self.loaded))
        inputs, outputs = (tuple(TensorInfo(t.name, t.dtype, t.shape) for t in tensors) for tensors in signature)
        return CompiledModel(
            self.request.name or self.loaded.name, inputs, outputs, specialise=self.specialise, timed=self.timed
        )

    def built(self) -> Built:
        """The compiled model, whatever machine it is for; UsageError when not all its shapes are known."""
        from mlc.driver import compile_model

        return compile_model(self.loaded, self.request, cache=self.cache)[0]

    def _part(self, loaded: LoadedModel, arrays: Mapping[str, Array]) -> tuple[Executable, tuple[OutputForm, ...]]:
        """Code for calls of a part of the model with arrays like these."""
        from mlc.driver import build_imported, import_source

        imported = import_source(loaded, self.request, arrays)
        built = build_imported(imported, self.request, loaded.name, cache=self.cache)
        return _start(built, built.library(), self.request.threads, arrays, imported.fixed), imported.forms

    def _check_target(self) -> None:
        target = self.request.target.resolve()
        machine = platform.machine()
        if target.kind != "cpu" or target.triple.split("-")[0] != machine:
            hint = "write it to a file with `mlc compile -o`"
            raise UsageError(f"code for target {target.name!r} can't run in this process, on {machine}", hint=hint)

    def specialise(self, arrays: Mapping[str, Array]) -> Executable:
        """Code for calls with arrays like these: for a range of shapes where these vary, if that can be compiled."""
        shapes = {name: array.shape for name, array in arrays.items()}
        dims = self.history.widened(self._declared, shapes)
        if dims is not None:
            request = self.request.with_dims(dims)
            try:
                made = self._cached(request) or self._compiled(request, None)[0]
                if made.fits(arrays):
                    return made
            except (UnsupportedError, ModelError) as error:
                _LOG.info("compiled for one set of shapes, not for a range: %s", error)
                self.history.give_up(dims)
        request = self.request.with_shapes(shapes)
        return self._cached(request) or self._compiled(request, arrays)[0]

    @cached_property
    def _declared(self) -> dict[str, tuple[int | str, ...] | None]:
        from mlc.frontends.onnx.shapes import declared_inputs

        return {info.name: info.shape for info in declared_inputs(self.loaded)}

    def _fixed(self, executable: Executable, built: Built | None) -> CompiledModel:
        def rebuild(name: str, embed: bool) -> Artefact:
            from mlc.driver import compile_model

            made = built or compile_model(self.loaded, self.request, cache=self.cache)[0]
            return made.artefact(name, embed=embed)

        name = executable.session.name
        return CompiledModel(
            name, executable.inputs, executable.outputs, executable=executable, rebuild=rebuild, timed=self.timed
        )

    def timed(self, model: CompiledModel) -> CompiledModel:
        """A model of this request, made to note how long its kernels take."""
        return model if self.request.timed else Maker(replace(self.request, timed=True), self.cache).model()

    def _cached(self, request: Request) -> Executable | None:
        identity = request.identity()
        if self.cache is None or identity is None:
            return None
        session = self.cache.session(request.key(identity), request.threads)
        return Executable(session) if session else None

    def _compiled(self, request: Request, arrays: Mapping[str, Array] | None) -> tuple[Executable, Built]:
        from mlc.driver import compile_model
        from mlc.frontends.onnx.functions import used_operators

        identity = request.identity()
        if self.cache is None or identity is None:
            built, fixed = compile_model(self.loaded, request, arrays, cache=self.cache)
            return _start(built, built.library(), request.threads, arrays, fixed), built
        with self.cache.draft() as draft:
            built, fixed = compile_model(self.loaded, request, arrays, cache=self.cache, image=draft / WEIGHTS)
            code = built.library()
            (draft / LIBRARY).write_bytes(code)
            executable = _start(built, code, request.threads, arrays, fixed)
            files = request.files(self.loaded.identity, identity)
            if not fixed and files is not None:
                digest = built.weights.sha256 if built.weights else ""
                operators = used_operators(self.loaded.proto)
                manifest = {"name": built.program.name, "weights": digest, "files": files, "operators": operators}
                self.cache.publish(draft, request.key(identity), manifest)
            return executable, built


def _start(
    built: Built, code: bytes, threads: int, arrays: Mapping[str, Array] | None, fixed: Sequence[str]
) -> Executable:
    """The program loaded into this process; UsageError where it lacks C functions of operators."""
    if built.program.symbols:
        from mlc.dialects.interpreters.external import require

        require(built.program.symbols, built.program.name)
    name = built.program.name
    session = Session(Library.load(Image((code,)), name), name, weights=built.weights, threads=threads)
    return Executable(session, {key: np.array(arrays[key]) for key in fixed} if arrays else None)
