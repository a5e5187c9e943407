"""com.microsoft's operators against onnxruntime, which defines them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import mlc
from mlc.testing.onnxruntime import MICROSOFT, check_as_onnxruntime, declared, model_of

Array = np.ndarray[Any, Any]
RNG = np.random.default_rng(0)


def floats(*shape: int) -> Array:
    return RNG.standard_normal(shape).astype(np.float32)


def u8(*shape: int) -> Array:
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape: int) -> Array:
    return RNG.integers(-128, 128, shape).astype(np.int8)


def scalar(value: float, dtype: Any = np.float32) -> Array:
    return np.array(value, dtype)


X = floats(2, 5, 8)
SCALES = scalar(0.02), scalar(0.03), scalar(0.05)
IMAGE = u8(1, 4, 6, 7)
LAST = u8(1, 6, 7, 4)
TABLE = np.cos(np.outer(np.arange(12), np.arange(1, 5))).astype(np.float32)
SINES = np.sin(np.outer(np.arange(12), np.arange(1, 5))).astype(np.float32)
ZP = scalar(7, np.uint8)
MASK = np.array([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]], np.int32)

GROUPED: dict[str, Any] = {"num_heads": 4, "kv_num_heads": 2}
PROMPT: list[Array | None] = [
    *(floats(2, 5, 64), floats(2, 5, 32), floats(2, 5, 32), floats(2, 2, 0, 16), floats(2, 2, 0, 16)),
    *(np.array([4, 2], np.int32), scalar(5, np.int32)),
]
CASES: dict[str, tuple[str, list[Array | None], int, dict[str, Any]]] = {
    "fused_matmul": ("FusedMatMul", [floats(2, 8, 5), floats(2, 7, 8)], 1, {"transA": 1, "transB": 1, "alpha": 0.5}),
    "fused_matmul_batch_left": ("FusedMatMul", [floats(4, 2, 3, 6), floats(2, 3, 6, 5)], 1, {"transBatchA": 1}),
    "fused_matmul_batch_right": (
        "FusedMatMul",
        [floats(2, 3, 4, 6), floats(5, 2, 3, 6)],
        1,
        {"transBatchB": 1, "transB": 1},
    ),
    "fused_matmul_batch_both": (
        "FusedMatMul",
        [floats(6, 2, 4), floats(6, 2, 5)],
        1,
        {"transBatchA": 1, "transBatchB": 1, "transA": 1, "alpha": 2.0},
    ),
    "gelu": ("Gelu", [X], 1, {}),
    "fast_gelu": ("FastGelu", [X, floats(8)], 1, {}),
    "bias_gelu": ("BiasGelu", [X, floats(8)], 1, {}),
    "quick_gelu": ("QuickGelu", [X], 1, {"alpha": 1.5}),
    "skip_layer_norm": ("SkipLayerNormalization", [X, X + 1, floats(8), floats(8), floats(8)], 1, {"epsilon": 1e-5}),
    "skip_rms_norm": ("SkipSimplifiedLayerNormalization", [X, X + 1, floats(8)], 1, {"epsilon": 1e-5}),
    "rms_norm": ("SimplifiedLayerNormalization", [X, floats(8)], 1, {"epsilon": 1e-5, "axis": -1}),
    "fused_conv": (
        "FusedConv",
        [floats(1, 4, 6, 6), floats(5, 4, 3, 3), floats(5), floats(1, 5, 6, 6)],
        1,
        {"activation": "Relu", "pads": [1, 1, 1, 1], "kernel_shape": [3, 3]},
    ),
    "fused_conv_leaky": (
        "FusedConv",
        [floats(1, 4, 6, 6), floats(5, 4, 3, 3)],
        1,
        {"activation": "LeakyRelu", "activation_params": [0.2], "kernel_shape": [3, 3]},
    ),
    "fused_gemm": (
        "FusedGemm",
        [floats(3, 4), floats(5, 4), floats(5)],
        1,
        {"activation": "LeakyRelu", "activation_alpha": 0.3, "transB": 1, "beta": 2.0},
    ),
    "qlinear_add": ("QLinearAdd", [IMAGE, SCALES[0], ZP, IMAGE[:, ::-1].copy(), SCALES[1], ZP, SCALES[2], ZP], 1, {}),
    "qlinear_mul": ("QLinearMul", [IMAGE, SCALES[0], ZP, IMAGE[:, ::-1].copy(), SCALES[1], ZP, SCALES[2], ZP], 1, {}),
    "qlinear_sigmoid": ("QLinearSigmoid", [IMAGE, SCALES[0], ZP, scalar(1 / 256), scalar(0, np.uint8)], 1, {}),
    "qlinear_leaky_relu": (
        "QLinearLeakyRelu",
        [IMAGE, SCALES[0], scalar(99, np.uint8), SCALES[1], ZP],
        1,
        {"alpha": 0.1},
    ),
    "qlinear_softmax": (
        "QLinearSoftmax",
        [IMAGE, SCALES[0], ZP, scalar(1 / 256), scalar(0, np.uint8)],
        1,
        {"axis": -1, "opset": 13},
    ),
    "qlinear_average_pool": (
        "QLinearAveragePool",
        [IMAGE, SCALES[0], ZP, SCALES[1], ZP],
        1,
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]},
    ),
    "qlinear_global_average_pool": ("QLinearGlobalAveragePool", [IMAGE, SCALES[0], ZP, SCALES[1], ZP], 1, {}),
    "qlinear_global_average_pool_last": (
        "QLinearGlobalAveragePool",
        [LAST, SCALES[0], ZP, SCALES[1], ZP],
        1,
        {"channels_last": 1},
    ),
    "qlinear_concat": (
        "QLinearConcat",
        [SCALES[2], ZP, IMAGE, SCALES[0], ZP, IMAGE[:, :2].copy(), SCALES[1], scalar(3, np.uint8)],
        1,
        {"axis": 1},
    ),
    "qgemm": (
        "QGemm",
        [
            u8(3, 8),
            SCALES[0],
            ZP,
            i8(5, 8),
            floats(5) ** 2 + 1,
            np.zeros(5, np.int8),
            np.arange(5, dtype=np.int32),
            scalar(9.0),
            ZP,
        ],
        1,
        {"transB": 1, "alpha": 0.5},
    ),
    "qgemm_float": ("QGemm", [u8(3, 8), SCALES[0], ZP, u8(8, 5), SCALES[1], ZP], 1, {}),
    "matmul_integer_to_float": (
        "MatMulIntegerToFloat",
        [u8(3, 8), i8(8, 5), SCALES[0], np.abs(floats(5)), ZP, np.zeros(5, np.int8), floats(5)],
        1,
        {},
    ),
    "dynamic_quantize_matmul": (
        "DynamicQuantizeMatMul",
        [floats(3, 8), i8(8, 5), np.abs(floats(5)), None, floats(5)],
        1,
        {},
    ),
    "matmul_4_bits": (
        "MatMulNBits",
        [floats(2, 3, 40), u8(6, 3, 8), np.abs(floats(18)), u8(6, 2).reshape(-1)],
        1,
        {"K": 40, "N": 6, "bits": 4, "block_size": 16},
    ),
    "matmul_4_bits_symmetric": (
        "MatMulNBits",
        [floats(3, 32), u8(6, 2, 8), np.abs(floats(12))],
        1,
        {"K": 32, "N": 6, "bits": 4, "block_size": 16},
    ),
    "matmul_4_bits_in_another_order": (
        "MatMulNBits",
        [floats(3, 32), u8(6, 2, 8), np.abs(floats(12)), None, np.arange(32, dtype=np.int32) % 2],
        1,
        {"K": 32, "N": 6, "bits": 4, "block_size": 16},
    ),
    "matmul_8_bits": (
        "MatMulNBits",
        [floats(3, 32), u8(6, 2, 16), np.abs(floats(12))],
        1,
        {"K": 32, "N": 6, "bits": 8, "block_size": 16},
    ),
    "quantize_linear": ("QuantizeLinear", [X, SCALES[0], ZP], 1, {}),
    "dequantize_linear": ("DequantizeLinear", [u8(2, 4), floats(4), u8(4)], 1, {"axis": 1}),
    "attention": ("Attention", [X, floats(8, 24), floats(24)], 1, {"num_heads": 2}),
    "attention_masked": ("Attention", [X, floats(8, 24), floats(24), MASK], 1, {"num_heads": 2}),
    "attention_lengths": ("Attention", [X, floats(8, 24), floats(24), np.array([3, 5], np.int32)], 1, {"num_heads": 2}),
    "attention_past": (
        "Attention",
        [X, floats(8, 24), floats(24), None, floats(2, 2, 2, 3, 4)],
        2,
        {"num_heads": 2, "unidirectional": 1},
    ),
    "multi_head": ("MultiHeadAttention", [X, X + 1, X - 1, floats(24)], 1, {"num_heads": 2}),
    "multi_head_masked": ("MultiHeadAttention", [X, X + 1, X - 1, None, MASK], 1, {"num_heads": 2, "scale": 0.3}),
    "multi_head_bias": ("MultiHeadAttention", [X, X + 1, X - 1, None, None, floats(2, 2, 5, 5)], 1, {"num_heads": 2}),
    "multi_head_past": (
        "MultiHeadAttention",
        [X, X + 1, X - 1, None, None, None, floats(2, 2, 3, 4), floats(2, 2, 3, 4)],
        3,
        {"num_heads": 2},
    ),
    "multi_head_causal": ("MultiHeadAttention", [X, X + 1, X - 1], 1, {"num_heads": 2, "unidirectional": 1}),
    "rotary": ("RotaryEmbedding", [floats(2, 5, 16), np.array([3], np.int64), TABLE, SINES], 1, {}),
    "rotary_interleaved": (
        "RotaryEmbedding",
        [floats(2, 2, 5, 8), np.arange(10, dtype=np.int64).reshape(2, 5), TABLE, SINES],
        1,
        {"interleaved": 1},
    ),
    "rotary_partial": (
        "RotaryEmbedding",
        [floats(2, 5, 24), np.array([0], np.int64), TABLE, SINES],
        1,
        {"rotary_embedding_dim": 8, "num_heads": 2},
    ),
    "embed": (
        "EmbedLayerNormalization",
        [
            RNG.integers(0, 9, (2, 5)).astype(np.int32),
            RNG.integers(0, 2, (2, 5)).astype(np.int32),
            *(floats(9, 8), floats(6, 8), floats(2, 8), floats(8), floats(8), MASK),
        ],
        2,
        {"epsilon": 1e-5},
    ),
    "group_query_prompt": (
        "GroupQueryAttention",
        [
            *(floats(2, 5, 64), floats(2, 5, 32), floats(2, 5, 32), floats(2, 2, 0, 16), floats(2, 2, 0, 16)),
            *(np.array([4, 2], np.int32), scalar(5, np.int32), np.tile(TABLE, 2), np.tile(SINES, 2)),
        ],
        3,
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1},
    ),
    "group_query_decode": (
        "GroupQueryAttention",
        [
            *(floats(2, 1, 64), floats(2, 1, 32), floats(2, 1, 32), floats(2, 2, 6, 16), floats(2, 2, 6, 16)),
            *(np.array([6, 6], np.int32), scalar(7, np.int32), np.tile(TABLE, 2), np.tile(SINES, 2)),
        ],
        3,
        {"num_heads": 4, "kv_num_heads": 2, "do_rotary": 1, "rotary_interleaved": 1},
    ),
    "group_query_capped": ("GroupQueryAttention", PROMPT, 3, {**GROUPED, "softcap": 1.5}),
    "group_query_smooth": ("GroupQueryAttention", PROMPT, 3, {**GROUPED, "smooth_softmax": 1}),
    "group_query_sink": (
        "GroupQueryAttention",
        [*PROMPT, None, None, None, None, floats(4)],
        3,
        {**GROUPED, "softcap": 1.5},
    ),
    "group_query_packed": (
        "GroupQueryAttention",
        [floats(1, 5, 64), None, None, None, None, np.array([4], np.int32), scalar(5, np.int32)],
        3,
        {"num_heads": 4, "kv_num_heads": 2, "local_window_size": 3},
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_as_onnxruntime(name: str) -> None:
    op, inputs, outputs, attributes = CASES[name]
    check_as_onnxruntime(op, inputs, outputs, attributes, "" if op == "SimplifiedLayerNormalization" else MICROSOFT)


@pytest.mark.parametrize(
    ("op", "inputs", "attributes", "error", "message"),
    [
        (
            "MatMulNBits",
            [X, u8(6, 2, 8), floats(12)],
            {"K": 8, "N": 6, "bits": 3, "block_size": 16},
            mlc.UnsupportedError,
            "3 bits",
        ),
        (
            "MatMulNBits",
            [X, u8(6, 2, 8), floats(12)],
            {"K": 9, "N": 6, "block_size": 16},
            mlc.ModelError,
            "does not fit K = 9",
        ),
        (
            "MatMulNBits",
            [floats(3, 32), u8(6, 2, 8), floats(12), u8(6), np.arange(32, dtype=np.int32) % 2],
            {"K": 32, "N": 6, "block_size": 16},
            mlc.UnsupportedError,
            "zero points beside input g_idx",
        ),
        (
            "MatMulNBits",
            [floats(3, 32), u8(6, 2, 8), floats(12), None, np.zeros(8, np.int32)],
            {"K": 32, "N": 6, "block_size": 16},
            mlc.ModelError,
            r"g_idx has shape \[8\]",
        ),
        ("MultiHeadAttention", [X, X, X], {"num_heads": 3}, mlc.ModelError, "3 heads do not divide"),
        ("QLinearConcat", [scalar(1.0), ZP, IMAGE, scalar(1.0)], {"axis": 1}, mlc.ModelError, "4 inputs are not"),
        ("FusedConv", [floats(1, 1, 3, 3), floats(1, 1, 1, 1)], {"activation": "Swish"}, mlc.ModelError, "'Swish'"),
    ],
)
def test_misuse_is_named(op: str, inputs: list[Array], attributes: dict[str, Any], error: Any, message: str) -> None:
    model = declared(model_of(op, inputs, 1, attributes), [X])
    with pytest.raises(error, match=f"only .*{message}"):
        mlc.compile(model, threads=1, cache=False)
