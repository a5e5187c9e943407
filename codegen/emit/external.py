"""The call of a C function that the user brings, as codegen/include/mlc_operator.h describes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from xdsl.dialects.builtin import IntegerAttr, f64
from xdsl.ir import Attribute, SSAValue

from mlc.codegen.emit.writer import Writer, float_constant
from mlc.codegen.runtime.context import OPERATOR_FAILED
from mlc.dialects.hlt.external import Parameter, decoded
from mlc.dialects.loop import CallCOp, buffer_type

_PARAMETER_BYTES = 16


def emit_call_c(out: Writer, op: CallCOp, pointer: Callable[[SSAValue], str], pointer_bytes: int) -> None:
    """Tables of tensors and parameters on the stack, the call, and the status where it fails."""
    dtypes = [code.value.data for code in op.dtypes if isinstance(code, IntegerAttr)]
    inputs = _tensors(out, op.ins, dtypes[: len(op.ins)], pointer, pointer_bytes)
    outputs = _tensors(out, op.outs, dtypes[len(op.ins) :], pointer, pointer_bytes)
    parameters = _parameters(out, list(op.parameters))
    code = out.call("i32", op.symbol.data, [("ptr", inputs), ("ptr", outputs), ("ptr", parameters)])
    failed = out.value(f"icmp ne i32 {code}, 0")
    unused = out.value("alloca i32, align 4")
    note = out.value(f"select i1 {failed}, ptr {pointer(op.status)}, ptr {unused}")
    out.emit(f"  store atomic i32 {OPERATOR_FAILED}, ptr {note} monotonic, align 4")


def _tensors(
    out: Writer, buffers: Sequence[SSAValue], dtypes: Sequence[int], pointer: Callable[[SSAValue], str], word: int
) -> str:
    """An array of ``mlc_tensor``."""
    size = 2 * word + 8
    table = out.value(f"alloca [{max(len(buffers), 1) * size} x i8], align 8")
    for number, (buffer, dtype) in enumerate(zip(buffers, dtypes, strict=True)):
        shape = buffer_type(buffer).get_shape()
        fields = (
            (0, f"ptr {pointer(buffer)}"),
            (word, f"ptr {_numbers(out, 'i64', list(map(str, shape)))}"),
            (2 * word, f"i32 {len(shape)}"),
            (2 * word + 4, f"i32 {dtype}"),
        )
        for offset, value in fields:
            _store(out, value, table, number * size + offset)
    return table


def _parameters(out: Writer, parameters: Sequence[Attribute]) -> str:
    """An array of ``mlc_parameter``."""
    table = out.value(f"alloca [{max(len(parameters), 1) * _PARAMETER_BYTES} x i8], align 8")
    for number, parameter in enumerate(parameters):
        value, count = _parameter(out, decoded(parameter))
        _store(out, value, table, number * _PARAMETER_BYTES)
        _store(out, f"i64 {count}", table, number * _PARAMETER_BYTES + 8)
    return table


def _parameter(out: Writer, parameter: Parameter) -> tuple[str, int]:
    """A parameter's value, with its LLVM type, and its number of elements."""
    match parameter:
        case int():
            return f"i64 {parameter}", 1
        case float():
            return f"double {float_constant(parameter, f64)}", 1
        case str():
            text = parameter.encode()
            escaped = "".join(f"\\{byte:02X}" for byte in (*text, 0))
            name = _constant(out, f'[{len(text) + 1} x i8] c"{escaped}", align 1')
            return f"ptr {name}", len(text)
        case _:
            if any(isinstance(item, float) for item in parameter):
                return f"ptr {_numbers(out, 'double', [float_constant(item, f64) for item in parameter])}", len(
                    parameter
                )
            return f"ptr {_numbers(out, 'i64', list(map(str, parameter)))}", len(parameter)


def _numbers(out: Writer, kind: str, items: Sequence[str]) -> str:
    """A constant array; one without elements still has an address."""
    listed = items or ("zeroinitializer",)
    return _constant(out, f"[{len(listed)} x {kind}] [{', '.join(f'{kind} {item}' for item in listed)}], align 8")


def _constant(out: Writer, text: str) -> str:
    name = f"@constant{len(out.definitions)}"
    out.define(name, f"{name} = internal constant {text}\n")
    return name


def _store(out: Writer, value: str, table: str, offset: int) -> None:
    place = out.value(f"getelementptr i8, ptr {table}, i32 {offset}")
    out.emit(f"  store {value}, ptr {place}")
