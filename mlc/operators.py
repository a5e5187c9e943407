"""Operators of the user's own that C functions compute: `register_c_op`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.errors import MlcError, UsageError

if TYPE_CHECKING:
    from mlc.frontends.onnx.c_operators import Attributes, Results


def register_c_op(
    operator: str,
    symbol: str,
    *,
    results: Results | None = None,
    attributes: Attributes | None = None,
    library: str | os.PathLike[str] | None = None,
) -> None:
    """From now on the C function ``symbol`` computes the ONNX operator ``operator``: ``"my.company::SquaredRelu"``.

    - The function is ``int32_t symbol(const mlc_tensor *inputs, const mlc_tensor *outputs, const mlc_parameter *)``
      as ``mlc_operator.h`` in `include_dir` describes it.
    - ``results``: a function of the inputs' types and of the attributes that returns the outputs' types, each a dtype
      and a shape. By default there is one output of the first input's type.
    - ``attributes``: those that the function gets, in this order, each with its default; numbers, texts, lists of
      numbers.
    - ``library``: the shared library with the function, loaded now, which executes its code. It is needed to run
      models in this process; compiled ahead of time they leave the function to the linker.

    Registered again, an operator changes. Raises UsageError for bad names and defaults, an operator that has an
    importer of another kind, and a library that does not load or lacks the function.
    """
    from mlc.dialects.hlt.external import SYMBOL
    from mlc.frontends.onnx.c_operators import COperator, check_parameters, like_first
    from mlc.frontends.onnx.registry import importers, set_importer

    domain, separator, name = operator.partition("::")
    if not (domain and separator and name):
        raise UsageError(f"{operator!r} names no operator", hint="write my.company::SquaredRelu")
    if not SYMBOL.match(symbol):
        raise UsageError(f"{symbol!r} is no name of a C function")
    if not isinstance(importers().get((domain, name)), COperator | None):
        raise UsageError(f"{operator} has an importer already")
    defaults = dict(attributes or {})
    check_parameters(defaults)
    if library is not None:
        from mlc.dialects.interpreters.external import provide

        provide(symbol, Path(library))
    set_importer(domain, name, COperator(symbol, results or like_first, defaults, library is not None))


def load_plugin(path: str | os.PathLike[str]) -> None:
    """Run a Python file that registers operators, by `register_c_op` or ``onnx_op``; UsageError where it fails."""
    import runpy

    try:
        runpy.run_path(os.fspath(path), run_name="mlc_plugin")
    except MlcError:
        raise
    except Exception as error:
        raise UsageError(f"plugin {os.fspath(path)}: {type(error).__name__}: {error}") from error


def include_dir() -> Path:
    """The folder of ``mlc_operator.h``, for the C compiler's ``-I``."""
    import mlc.codegen.header

    return Path(mlc.codegen.header.__file__).parent / "include"
