"""A compiled model in this process: what `mlc.compile` and `mlc.load` return.

Nothing here needs the compiler: a cached or saved model runs with NumPy and the system's loader alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias, cast

import numpy as np

from mlc.codegen.jit import Session
from mlc.dialects.bounds import Bounds
from mlc.dialects.extents import Extent
from mlc.errors import UsageError
from mlc.feeds import (
    Array,
    Feeds,
    address,
    array_of,
    bindable,
    by_name,
    check_apart,
    check_names,
    is_plain,
    matching,
    named_arrays,
    sequence,
    writeable,
)
from mlc.recycle import Pool

if TYPE_CHECKING:
    from mlc.codegen.artefact import Artefact
    from mlc.report.profile import Profile

MAX_SPECIALISATIONS = 16
"""Sets of shapes that a model with symbolic dims keeps compiled; the least recently used goes first."""


@dataclass(frozen=True)
class TensorInfo:
    """An input or output: ``shape`` has a number per fixed dim, a name per symbolic one; None: any rank.

    Of a ``kind`` other than ``tensor`` (``sequence``, ``optional``), dtype and shape are those of what it holds.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int | str, ...] | None
    kind: str = "tensor"

    def __str__(self) -> str:
        dims = "?" if self.shape is None else "x".join(map(str, self.shape)) or "scalar"
        return f"{self.name}: {'' if self.kind == 'tensor' else f'{self.kind} of '}{self.dtype} {dims}"


def numpy_dtype(name: str) -> np.dtype[Any]:
    """The dtype of that name, those of ``ml_dtypes`` (bfloat16, ...) included."""
    try:
        return np.dtype(name)
    except TypeError:
        import ml_dtypes

        return np.dtype(getattr(ml_dtypes, name))


class Executable:
    """Code, weights and threads for one set of shapes.

    ``fixed`` holds, by name, the values of inputs for which alone it is right: those that shapes depend on.
    """

    def __init__(self, session: Session, fixed: Mapping[str, Array] | None = None) -> None:
        self.session = session
        self.fixed = dict(fixed or {})
        dims: Mapping[str, Any] | None = session.metadata.get("dims")
        self.bounds = Bounds.of_data(dims) if dims else None
        shapes = (self.bounds.inputs, self.bounds.outputs) if self.bounds else (None, None)
        self.inputs = _tensors(session.metadata["inputs"], shapes[0])
        self.outputs = _tensors(session.metadata["outputs"], shapes[1])
        self._static = None if self.bounds else Call((), [cast("tuple[int, ...]", s.shape) for s in self.outputs])

    def fits(self, feeds: Mapping[str, Array]) -> bool:
        """Whether it can run these arrays (all inputs, by name)."""
        if self.bounds is None:
            good = all(feeds[spec.name].shape == spec.shape for spec in self.inputs)
        else:
            good = self.bounds.solve([feeds[spec.name].shape for spec in self.inputs]) is not None
        return good and all(np.array_equal(feeds[name], value) for name, value in self.fixed.items())

    def call_for(self, shapes: Sequence[Sequence[int]]) -> Call:
        """A call with inputs of these shapes; UsageError when they are outside the bounds."""
        if self._static is not None:
            return self._static
        assert self.bounds is not None, "a call differs from others by its dims"
        values = self.bounds.solve(shapes)
        if values is None:
            ranges = ", ".join(f"{s.name} in {s.low}..{s.high}" for s in self.bounds.symbols)
            given = ", ".join(f"{spec.name} {list(shape)}" for spec, shape in zip(self.inputs, shapes))
            inputs = "; ".join(map(str, self.inputs))
            raise UsageError(f"shapes {given} are not within the bounds: {inputs}, with {ranges}")
        return Call(tuple(values[s.name] for s in self.bounds.symbols), self.bounds.output_rooms(values), values)

    def trimmed(self, sinks: list[Array], call: Call, found: Sequence[int]) -> list[Array]:
        """The outputs at the shapes that the call has found out."""
        if self.bounds is None or not self.bounds.found:
            return sinks
        values = {**call.values, **{s.name: value for s, value in zip(self.bounds.found, found)}}
        shapes = self.bounds.output_shapes(values)
        return [sink.reshape(-1)[: prod(shape)].reshape(shape) for sink, shape in zip(sinks, shapes)]


@dataclass(frozen=True)
class Call:
    """One call: the dims to pass, and room enough for each output; ``values`` are all dims by name."""

    dims: tuple[int, ...]
    rooms: Sequence[tuple[int, ...]]
    values: Mapping[str, int] = field(default_factory=dict[str, int])


def _tensors(entries: Sequence[Mapping[str, Any]], shapes: Sequence[Sequence[int]] | None) -> tuple[TensorInfo, ...]:
    """The tensors of an artefact; a dim that depends on the call shows as text."""
    return tuple(
        TensorInfo(e["name"], numpy_dtype(e["dtype"]), tuple(e["shape"]) if shapes is None else _shown(shapes[index]))
        for index, e in enumerate(entries)
    )


def _shown(shape: Sequence[int]) -> tuple[int | str, ...]:
    return tuple(str(extent) if isinstance(extent, Extent) else extent for extent in shape)


Specialise: TypeAlias = Callable[[Mapping[str, Array]], Executable]
"""Compiles for arrays like these: all inputs, by name."""

Rebuild: TypeAlias = "Callable[[str, bool], Artefact]"
"""``(symbol prefix, embed the weights)`` to the artefact to write."""


class CompiledModel:
    """A model as native code: call it with arrays.

    Safe to call from several threads. Inputs are NumPy arrays, or others through DLPack, of exactly the dtypes
    and shapes that `inputs` says; anything else raises UsageError. Inputs that are not contiguous are copied.
    """

    def __init__(
        self,
        name: str,
        inputs: Sequence[TensorInfo],
        outputs: Sequence[TensorInfo],
        *,
        executable: Executable | None = None,
        specialise: Specialise | None = None,
        rebuild: Rebuild | None = None,
        timed: Callable[[CompiledModel], CompiledModel] | None = None,
    ) -> None:
        self.name = name
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self._names = {spec.name: index for index, spec in enumerate(self.inputs)}
        self._single = executable
        self._specialise = specialise
        self._rebuild = rebuild
        self._timed = timed
        self._made: OrderedDict[int, Executable] = OrderedDict()
        self.compilations = 0
        """How often the model was compiled because nothing it had fitted a call."""
        self._lock = Lock()
        self._pool = Pool()

    def __repr__(self) -> str:
        given = ", ".join(map(str, self.inputs))
        return f"<mlc model {self.name}: {given} -> {', '.join(map(str, self.outputs))}>"

    # --- running

    def __call__(self, *arrays: Any, **named: Any) -> Any:
        """Run on one array per input in order, on one dict, or on arrays by keyword.

        Returns one array, or a tuple of them in the order of `outputs`. Raises UsageError for wrong names, dtypes
        or shapes, ModelError where the data are at fault (an index out of range).
        """
        results = self._run(self._feeds(arrays, named), {})
        return results[0] if len(results) == 1 else tuple(results)

    def run(self, inputs: Feeds, out: Feeds | None = None) -> dict[str, Array]:
        """Run on arrays by name; returns the outputs by name.

        ``out`` holds arrays to write outputs to: contiguous, of the right dtype and shape, and apart from all others
        in memory (which is looked at closely by `bind` alone: it takes time). Outputs without one are new arrays.
        """
        results = self._run(named_arrays(inputs), {} if out is None else named_arrays(out))
        return dict(zip([spec.name for spec in self.outputs], results))

    def bind(self, inputs: Feeds | Sequence[Any], outputs: Feeds | Sequence[Any]) -> Callable[[], None]:
        """A function without arguments that runs on these very arrays, each time it is called.

        One C call, for loops that count microseconds. The arrays, which must be contiguous, stay alive as long as
        the function; those of outputs share no memory with others. Don't call one such function from two threads at
        once; bind twice instead.
        """
        feeds = inputs if isinstance(inputs, Mapping) else self._feeds(sequence(inputs), {})
        taken = {name: bindable(name, array) for name, array in self._checked(feeds).items()}
        executable = self._executable(taken)
        sources = [matching(spec, taken[spec.name], "input") for spec in executable.inputs]
        given = by_name(outputs, executable.outputs)
        call = executable.call_for([array.shape for array in sources])
        if executable.bounds and executable.bounds.found:
            raise UsageError("a model whose outputs' shapes depend on data can't be bound", node=self.name)
        sinks = [writeable(spec, given[spec.name], room) for spec, room in zip(executable.outputs, call.rooms)]
        check_apart(executable.outputs, sinks, sources)
        step = executable.session.bind([address(a) for a in sources], [address(a) for a in sinks], call.dims)
        cast("Any", step).__dict__["arrays"] = sources, sinks
        return cast("Callable[[], None]", step)

    def _feeds(self, arrays: Sequence[Any], named: Feeds) -> Feeds:
        """Arrays by name, from a call's arguments."""
        if len(arrays) == 1 and not named and isinstance(arrays[0], Mapping):
            return cast("Feeds", arrays[0])
        if len(arrays) > len(self.inputs):
            names = ", ".join(spec.name for spec in self.inputs)
            raise UsageError(f"{len(arrays)} arrays are given, the model has {len(self.inputs)} inputs: {names}")
        feeds = {spec.name: array for spec, array in zip(self.inputs, arrays)}
        if twice := feeds.keys() & named.keys():
            raise UsageError(f"input {min(twice)!r} is given twice")
        return {**feeds, **named}

    def _run(self, feeds: Feeds, out: Feeds) -> list[Array]:
        executable = self._single
        if executable is None:
            feeds = {name: array_of(name, array) for name, array in self._checked(feeds).items()}
            executable = self._executable(feeds)
        if len(feeds) != len(executable.inputs):
            self._checked(feeds)
        sources: list[Array] = []
        for spec in executable.inputs:
            array = feeds.get(spec.name)
            if not is_plain(array, spec, spec.shape):
                array = self._taken(spec, feeds)
            sources.append(array)
        call = executable.call_for([array.shape for array in sources])
        sinks = self._sinks(executable, call, out)
        if out and not {*map(id, sinks)}.isdisjoint(map(id, sources)):
            check_apart(executable.outputs, sinks, sources)
        found = executable.session.run_raw([address(a) for a in sources], [address(a) for a in sinks], call.dims)
        return executable.trimmed(sinks, call, found)

    def _taken(self, spec: TensorInfo, feeds: Feeds) -> Array:
        """The array of an input that can't be used as it is: converted, copied or refused."""
        array = array_of(spec.name, self._checked(feeds)[spec.name])
        return np.ascontiguousarray(matching(spec, array, "input")).reshape(array.shape)

    def _sinks(self, executable: Executable, call: Call, out: Feeds) -> list[Array]:
        """Arrays for the outputs: those of ``out``, and new ones."""
        self._pool.expect(len(executable.outputs))
        sinks: list[Array] = []
        found = 0
        for spec, room in zip(executable.outputs, call.rooms):
            array = out.get(spec.name)
            if array is None:
                array = self._pool.empty(room, spec.dtype)
            else:
                found += 1
                if not (is_plain(array, spec, room) and array.flags.writeable):
                    array = writeable(spec, array, room)
            sinks.append(array)
        if found < len(out):
            check_names("output", out, [spec.name for spec in executable.outputs])
        return sinks

    def _checked(self, feeds: Feeds) -> Feeds:
        """The same, if they are arrays for exactly the inputs there are."""
        check_names("input", feeds, self._names)
        missing = [name for name in self._names if name not in feeds]
        if missing:
            raise UsageError(f"no array is given for input {', '.join(map(repr, missing))}")
        return feeds

    def profile(self, *arrays: Any, duration: float = 1.0, **named: Any) -> Profile:
        """Where the time of a call with these arrays goes, kernel by kernel, measured for ``duration`` seconds.

        Arrays are given as for a call. The model is compiled anew, with clocks around its kernels. UsageError for a
        model that was loaded from a library, and for one that runs in part on the host.
        """
        from mlc.report.profile import profile

        if self._timed is None:
            raise UsageError("only a model that is compiled here as a whole can be profiled", node=self.name)
        feeds = self._checked(self._feeds(arrays, named))
        timed = self._timed(self)
        taken = {spec.name: self._taken(spec, feeds) for spec in timed.inputs}
        executable = timed._executable(taken)
        sources = [taken[spec.name] for spec in executable.inputs]
        call = executable.call_for([array.shape for array in sources])
        sinks = self._sinks(executable, call, {})
        run = executable.session.timer([address(a) for a in sources], [address(a) for a in sinks], call.dims)
        return profile(self.name, run, executable.session.metadata["extra"]["times"]["calls"], duration)

    # --- specialisations

    def _executable(self, feeds: Mapping[str, Array]) -> Executable:
        """The code for arrays like these, compiled now if there is none yet."""
        if self._single is not None:
            return self._single
        for spec in self.inputs:
            matching(spec, feeds[spec.name], "input")
        with self._lock:
            for key, made in reversed(self._made.items()):
                if made.fits(feeds):
                    self._made.move_to_end(key)
                    return made
            assert self._specialise is not None, "a model has code, or can make some"
            made = self._specialise(feeds)
            self.compilations += 1
            self._made[id(made)] = made
            while len(self._made) > MAX_SPECIALISATIONS:
                self._made.popitem(last=False)
            return made

    @property
    def specialisations(self) -> int:
        """Sets of shapes that are compiled at present."""
        return len(self._made) if self._single is None else 1

    # --- facts

    @property
    def host_calls(self) -> tuple[str, ...]:
        """The nodes that are not compiled: they run in Python, around the compiled parts."""
        return ()

    @property
    def executable(self) -> Executable:
        """The code of a model without symbolic dims; UsageError for others."""
        if self._single is None:
            hint = "pass shapes= or dims= to compile for one"
            raise UsageError("the model has symbolic dims, so there is no one code for it", node=self.name, hint=hint)
        return self._single

    @property
    def is_static(self) -> bool:
        """Whether there is one code: for one set of shapes, or for dims within bounds."""
        return self._single is not None

    @property
    def dims(self) -> dict[str, range]:
        """The dims that a call's inputs give a value to, each with those it may have; none for fixed shapes."""
        bounds = self._single.bounds if self._single is not None else None
        return {symbol.name: range(symbol.low, symbol.high + 1) for symbol in bounds.symbols} if bounds else {}

    @property
    def metadata(self) -> dict[str, Any]:
        """What the artefact says of itself: tensors, target, kernels, sizes of arena and weights."""
        return self.executable.session.metadata

    @property
    def threads(self) -> int:
        """Threads that run a call, the caller included."""
        return self.executable.session.threads

    # --- saving

    def __reduce__(self) -> NoReturn:
        raise TypeError("a compiled model can't be pickled or copied: save it, and mlc.load what was saved")

    def save(self, path: str | Path, *, name: str | None = None, weights: str = "embed") -> None:
        """Write a shared library (``.so``), object (``.o``) or archive (``.a``), and its C header beside it.

        The header and the symbols are called ``name``, by default after the file. ``weights="embed"`` puts the
        weights into the file, ``"file"`` into ``name.weights`` beside it. Files appear whole or not at all;
        UsageError where that fails.
        """
        from mlc.output import Output

        output = Output.of(path, name=name, weights=weights)
        if self._single is None:
            hint = "pass shapes= or dims= to compile for one set of them"
            raise UsageError("a model with symbolic dims can't be saved", node=self.name, hint=hint)
        if self._rebuild is None:
            raise UsageError("this model was loaded from an artefact: copy its files", node=self.name)
        output.write(self._rebuild(output.name, output.embed))
