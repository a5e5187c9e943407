"""What an artefact says of itself: the JSON text that stands in it as the symbol NAME_metadata."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from mlc.codegen.runtime.context import ABI_VERSION

if TYPE_CHECKING:
    from mlc.codegen.program import Program, TensorSpec


def metadata_of(program: Program) -> dict[str, Any]:
    """The metadata as plain data; ``program.metadata`` stands under ``extra``.

    Shapes are the greatest ones; ``dims`` has the true ones where they depend on the call.
    """
    levels = [_level(level) for level in program.levels]
    dims = {"dims": program.borders.bounds.to_data()} if program.borders else {}
    return {
        "abi": ABI_VERSION,
        "name": program.name,
        "inputs": [_tensor(spec) for spec in program.inputs],
        "outputs": [_tensor(spec) for spec in program.outputs],
        "arena_bytes": program.arena_bytes,
        "weights": {
            "bytes": program.weights_bytes,
            "sha256": program.weights_sha256,
            "embedded": program.embedded_weights,
        },
        "threads": program.threads,
        "target": _target(program),
        "kernels": sorted({call.kernel for call in program.calls}),
        "extra": program.metadata,
        **({"symbols": list(program.symbols)} if program.symbols else {}),
        **({"levels": levels} if levels else {}),
        **dims,
    }


def _target(program: Program) -> dict[str, Any]:
    target = program.target
    return {"name": target.name, "triple": target.triple, "cpu": target.cpu, "features": sorted(target.features)}


def _level(program: Program) -> dict[str, Any]:
    """One of several versions, the numbers of NAME_level in order."""
    return {
        "target": _target(program),
        "arena_bytes": program.arena_bytes,
        "kernels": sorted({call.kernel for call in program.calls}),
    }


def metadata_json(program: Program) -> str:
    """The metadata as JSON text: ASCII, one line, the same for the same program."""
    return json.dumps(metadata_of(program), sort_keys=True, separators=(",", ":"))


def _tensor(spec: TensorSpec) -> dict[str, Any]:
    return {"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape), "bytes": spec.nbytes}
