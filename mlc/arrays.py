"""Arrays from and to files, and made-up inputs, for the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mlc.errors import ModelError, UsageError, nearest

if TYPE_CHECKING:
    from mlc.model import Array, TensorInfo

FILLS = ("random", "zeros", "ones")
SUFFIXES = (".npy", ".npz", ".pb")


def read_inputs(files: Sequence[str], names: Sequence[str]) -> dict[str, Array]:
    """Arrays by input name from ``[NAME=]FILE`` words; a file without a name is for the next input in order."""
    found: dict[str, Array] = {}
    for word in files:
        name, file = _named(word, names)
        arrays = read_arrays(Path(file))
        if name is None and None in arrays:
            name = next((n for n in names if n not in found), None)
            if name is None:
                raise UsageError(f"{file}: all {len(names)} inputs are given already")
        for key, array in arrays.items():
            target = name if key is None else key
            if target not in names:
                raise UsageError(f"{file}: the model has no input {target!r}", hint=nearest(str(target), names))
            if target in found:
                raise UsageError(f"{file}: input {target!r} is given already")
            found[str(target)] = array
    return found


def _named(word: str, names: Sequence[str]) -> tuple[str | None, str]:
    """``NAME=FILE`` apart, whatever characters the model's names hold."""
    for name in sorted(names, key=len, reverse=True):
        if word.startswith(f"{name}="):
            return name, word[len(name) + 1 :]
    name, equals, file = word.partition("=")
    return (name, file) if equals and not Path(word).exists() else (None, word)


def read_arrays(file: Path) -> dict[str | None, Array]:
    """What a file holds, by name; one array without a name has the key None. ModelError when it can't be read."""
    if file.suffix not in SUFFIXES:
        raise UsageError(f"{file}: unknown kind of file", hint=f"valid: {', '.join(SUFFIXES)}")
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                return {name: archive[name] for name in archive.files}
        if file.suffix == ".npy":
            return {None: np.load(file, allow_pickle=False)}
        return {None: read_tensor(file)}
    except OSError as error:
        raise UsageError(f"can't read {file}: {error.strerror or error}") from error
    except (ValueError, EOFError, KeyError) as error:
        raise ModelError(f"{file} holds no arrays: {' '.join(str(error).split())}") from error


def read_tensor(file: Path) -> Array:
    """The array of a ``TensorProto`` file; ModelError when it is none."""
    from google.protobuf.message import DecodeError
    from onnx import TensorProto, numpy_helper

    try:
        return numpy_helper.to_array(TensorProto.FromString(file.read_bytes()))
    except (DecodeError, TypeError, ValueError) as error:
        raise ModelError(f"{file} holds no tensor: {' '.join(str(error).split())}") from error


def write_arrays(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write all arrays to a ``.npz``, or the one there is to a ``.npy``; whole or not at all."""
    import io

    from mlc.codegen.image import write_atomic

    stream = io.BytesIO()
    if path.suffix not in (".npy", ".npz"):
        raise UsageError(f"can't write outputs to {str(path)!r}", hint="end it with .npz, or .npy for one output")
    if path.suffix == ".npz":
        contents: dict[str, Any] = dict(arrays)
        np.savez(stream, **contents)
    elif len(arrays) == 1:
        np.save(stream, next(iter(arrays.values())), allow_pickle=False)
    else:
        raise UsageError(f"can't write {len(arrays)} outputs to {path}", hint="write several to a .npz, one to a .npy")
    write_atomic(path, [stream.getbuffer()])


def make(specs: Sequence[TensorInfo], fill: str, seed: int) -> dict[str, Array]:
    """Arrays for tensors: standard normal floats, and integers of 0 and 1, which are ids, masks and lengths alike."""
    generator = np.random.default_rng(seed)
    return {spec.name: _make(spec, fill, generator) for spec in specs}


def _make(spec: TensorInfo, fill: str, generator: np.random.Generator) -> Array:
    if spec.shape is None or not all(isinstance(dim, int) for dim in spec.shape):
        raise UsageError(f"the shape of input {spec.name!r} is open", hint="bind it with --shapes or --dim")
    if spec.dtype.kind not in "fiubcV":
        raise UsageError(f"input {spec.name!r} holds strings, which can't be made up", hint="pass a file with -i")
    shape = [int(dim) for dim in spec.shape]
    if fill == "zeros":
        return np.zeros(shape, spec.dtype)
    if fill == "ones":
        return np.ones(shape, spec.dtype)
    if spec.dtype.kind in "iub":
        return generator.integers(0, 2, shape).astype(spec.dtype)
    return generator.standard_normal(shape).astype(spec.dtype)
