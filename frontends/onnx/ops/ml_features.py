"""ai.onnx.ml's operators on features: scaling, encoding, imputing."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mlc.dialects import hlt
from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.node import Node
from mlc.frontends.onnx.registry import MACHINE_LEARNING, onnx_op
from mlc.frontends.onnx.value import Array, Value, is_float

MAX_KEYS = 1 << 12
"""The most entries of a table that is looked up by comparing with each."""


def _per_feature(b: Builder, node: Node, name: str, x: Value, default: float) -> Value:
    """A list attribute with one entry, or one for each feature."""
    values = np.array(node.floats(name, ()) or (default,), np.float32)
    if not x.rank or values.size not in (1, x.shape[-1]):
        raise node.invalid(f"attribute {name} has {values.size} entries for the input {list(x.shape)}")
    return b.broadcast_to(b.constant(values.reshape(()) if values.size == 1 else values), x.shape)


@onnx_op("Scaler", domain=MACHINE_LEARNING)
def scaler(b: Builder, node: Node) -> Value:
    """``(x - offset) * scale``"""
    x = b.cast(node.input(0), np.float32)
    return b.mul(b.sub(x, _per_feature(b, node, "offset", x, 0.0)), _per_feature(b, node, "scale", x, 1.0))


@onnx_op("Normalizer", domain=MACHINE_LEARNING)
def normalizer(b: Builder, node: Node) -> Value:
    """Each row divided by its largest element, the sum of its magnitudes, or its length; rows of zeros stay."""
    x, norm = b.cast(node.input(0), np.float32), node.string("norm", "MAX", choices=("MAX", "L1", "L2"))
    axis = (x.rank - 1,)
    if norm == "MAX":
        size = b.reduce("max", x, axis, keep_dims=True)
    elif norm == "L1":
        size = b.reduce("sum", b.op(hlt.AbsOp, x), axis, keep_dims=True)
    else:
        size = b.op(hlt.SqrtOp, b.reduce("sum", b.mul(x, x), axis, keep_dims=True))
    return b.div(x, b.select(b.compare("eq", size, 0), 1, size))


@onnx_op("Binarizer", domain=MACHINE_LEARNING)
def binarizer(b: Builder, node: Node) -> Value:
    x = node.input(0)
    return b.cast(b.compare("gt", x, node.float("threshold", 0.0)), x.dtype)


@onnx_op("ArrayFeatureExtractor", domain=MACHINE_LEARNING)
def array_feature_extractor(b: Builder, node: Node) -> Value:
    """Entries of the last dim; a vector becomes one row."""
    x, indices = node.input(0), node.input(1)
    x = b.expand_dims(x, (0,)) if x.rank == 1 else x
    return b.op(hlt.GatherOp, x, b.reshape(indices, (indices.size,)), axis=x.rank - 1)


@onnx_op("Imputer", domain=MACHINE_LEARNING)
def imputer(b: Builder, node: Node) -> Value:
    """One value of each feature, or NaN, replaced by another."""
    x = node.input(0)
    kind = "float" if is_float(x) else "int64"
    read: Any = node.floats if is_float(x) else node.ints
    replaced = node.float("replaced_value_float", 0.0) if is_float(x) else node.int("replaced_value_int64", 0)
    values = np.array(read(f"imputed_value_{kind}s"), x.dtype)
    if values.size not in (1, x.shape[-1]):
        raise node.invalid(f"{values.size} imputed values for the input {list(x.shape)}")
    fill = b.broadcast_to(b.constant(values.reshape(()) if values.size == 1 else values), x.shape)
    missing = b.op(hlt.IsNanOp, x) if math.isnan(replaced) else b.compare("eq", x, replaced)
    return b.select(missing, fill, x)


@onnx_op("FeatureVectorizer", domain=MACHINE_LEARNING)
def feature_vectorizer(b: Builder, node: Node) -> Value:
    """The inputs side by side, each at its declared width: longer ones cut, shorter ones padded with 0."""
    values, widths = node.variadic(), node.ints("inputdimensions")
    if len(values) != len(widths):
        raise node.invalid(f"{len(widths)} widths for {len(values)} inputs")
    return b.concat([_at_width(b, node, v, n) for v, n in zip(values, widths)], 1)


def _at_width(b: Builder, node: Node, x: Value, width: int) -> Value:
    x = b.cast(b.expand_dims(x, (0,)) if x.rank == 1 else x, np.float32)
    if x.rank != 2:
        raise node.invalid(f"an input {list(x.shape)} is no [rows, features]")
    x = b.slice_axis(x, 1, 0, min(width, x.shape[1]))
    return b.pad(x, (0, 0), (0, width - x.shape[1]))


@onnx_op("OneHotEncoder", domain=MACHINE_LEARNING)
def one_hot_encoder(b: Builder, node: Node) -> Value:
    """A new last dim with 1 at the category; an unknown one is all zeros, or an error unless ``zeros``."""
    x, categories = node.input(0), np.array(node.ints("cats_int64s", ()), np.int64)
    if not node.bool("zeros", True):
        raise node.unsupported("an error for unknown categories (zeros = 0)")
    shape = (*x.shape, categories.size)
    spread = b.broadcast_to(b.cast(x, np.int64), shape, range(x.rank))
    return b.cast(b.compare("eq", spread, b.broadcast_to(b.constant(categories), shape)), np.float32)


@onnx_op("LabelEncoder", domain=MACHINE_LEARNING)
def label_encoder(b: Builder, node: Node) -> Value:
    """Each key's value, by comparing with all keys; what is no key gets the default. NaN is a key like others."""
    x = node.input(0)
    keys, values, default = _table(node, "keys"), _table(node, "values"), _default(node)
    if len(keys) != len(values) or not len(keys):
        raise node.invalid(f"{len(keys)} keys for {len(values)} values")
    if len(keys) > MAX_KEYS:
        raise node.unsupported(f"more than {MAX_KEYS} keys")
    shape = (*x.shape, len(keys))
    spread = b.broadcast_to(x, shape, range(x.rank))
    hits = b.compare("eq", spread, b.broadcast_to(b.constant(keys.astype(x.dtype)), shape))
    if is_float(x) and np.isnan(keys.astype(np.float64)).any():
        special = b.broadcast_to(b.constant(np.isnan(keys.astype(np.float64))), shape)
        hits = b.elementwise(hlt.OrOp, hits, b.elementwise(hlt.AndOp, b.op(hlt.IsNanOp, spread), special))
    flags = b.cast(hits, np.int32)
    place = b.op(hlt.ArgReduceOp, flags, kind="max", axis=x.rank, keep_dims=False, last_index=False)
    found = b.op(hlt.GatherOp, b.constant(values), place, axis=0)
    return b.select(b.reduce("any", hits, (x.rank,)), found, b.full(x.shape, default, values.dtype))


def _table(node: Node, name: str) -> Array:
    tensor: Value | None = node.tensor(f"{name}_tensor", None)
    if tensor is not None:
        return node.contents(tensor, f"attribute {name}_tensor").ravel()
    whole = node.ints(f"{name}_int64s", None)
    if whole is not None:
        return np.array(whole, np.int64)
    return np.array(node.floats(f"{name}_floats", ()), np.float32)


def _default(node: Node) -> float:
    tensor: Value | None = node.tensor("default_tensor", None)
    if tensor is not None:
        return node.contents(tensor, "attribute default_tensor").ravel()[0]
    if node.ints("values_int64s", None) is not None:
        return node.int("default_int64", -1)
    return node.float("default_float", -0.0)
