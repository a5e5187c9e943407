"""The JavaScript that loads a module, and its types for TypeScript.

``loader.mjs`` is the same for all models; what differs stands before it as constants.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from mlc.codegen.header import STATUS_TEXT
from mlc.codegen.runtime.context import ABI_VERSION, CONTEXT_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mlc.codegen.program import Program, TensorSpec

_BODY = Path(__file__).with_name("loader.mjs")

_ARRAYS = {
    "float64": "Float64Array", "float32": "Float32Array", "float16": "Uint16Array", "bfloat16": "Uint16Array",
    "int64": "BigInt64Array", "int32": "Int32Array", "int16": "Int16Array", "int8": "Int8Array",
    "uint64": "BigUint64Array", "uint32": "Uint32Array", "uint16": "Uint16Array",
}  # fmt: skip


def loader_text(program: Program, module: str) -> str:
    """An ES module that loads the file ``module``, which lies beside it."""
    separate = program.weights_bytes and not program.embedded_weights
    constants = {
        "NAME": program.name,
        "MODULE": f"./{module}",
        "WEIGHTS": f"./{program.name}.weights" if separate else None,
        "FEATURES": ", ".join(sorted(program.target.features)),
        "ABI_VERSION": ABI_VERSION,
        "CONTEXT_BYTES": CONTEXT_BYTES,
        "STATUS": STATUS_TEXT,
    }
    lines = [f"const {name} = {json.dumps(value)};\n" for name, value in constants.items()]
    return f"// {program.name}: compiled by mlc.\n{''.join(lines)}{_BODY.read_text('utf-8')}"


def declarations_text(program: Program) -> str:
    """The TypeScript declarations of the loader, with the model's own names and types."""
    return f"""// {program.name}: compiled by mlc.
export type Source = string | URL | Response | Promise<Response> | ArrayBuffer | ArrayBufferView;

/** What a run takes: dense, row-major. */
export interface Inputs {{
{_fields(program.inputs)}}}

/** What a run gives. */
export interface Outputs {{
{_fields(program.outputs)}}}

/** A tensor of the model; `data` lies in the model's memory. */
export interface Tensor {{
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly size: number;
  readonly data: Inputs[keyof Inputs] | Outputs[keyof Outputs];
}}

export declare class Model {{
  private constructor();
  readonly metadata: Record<string, unknown>;
  readonly inputs: readonly Tensor[];
  readonly outputs: readonly Tensor[];
  /** Run on arrays; throws a TypeError or RangeError for what does not fit. */
  run(feeds: Inputs): Outputs;
  /** Run on what the inputs' `data` hold, into the outputs' `data`. */
  execute(): void;
}}

/** Load the model, by default from the files beside the loader. */
export declare function load(options?: {{ module?: Source; weights?: Source | null }}): Promise<Model>;
"""


def _fields(specs: Sequence[TensorSpec]) -> str:
    return "".join(
        f"  /** {spec.dtype} {'x'.join(map(str, spec.shape)) or 'scalar'} */\n"
        f"  {json.dumps(spec.name)}: {_ARRAYS.get(spec.dtype, 'Uint8Array')};\n"
        for spec in specs
    )
