"""Loading ONNX models: from files, bytes or protos to a small graph and a weight store.

A model is not trusted, and its weights are not copied. The file is mapped and scanned (``wire``), so that the
proto that protobuf parses holds no large payload; names, order, calls and sizes are checked (``check``);
tensors become entries of a ``WeightStore`` (``tensors``, ``external``); operators are brought up to one opset
(``opset``). Whatever is wrong with a model raises a ``ModelError`` of one line.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from google.protobuf.message import DecodeError
from onnx import GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto

from mlc.dialects.weights import Array, Buffer, WeightStore
from mlc.errors import ModelError, UsageError
from mlc.frontends.onnx import wire
from mlc.frontends.onnx.check import check_model, node_label, subgraphs
from mlc.frontends.onnx.external import ExternalFiles, map_file
from mlc.frontends.onnx.labels import number_labels
from mlc.frontends.onnx.limits import Limits, element_count
from mlc.frontends.onnx.opset import convert
from mlc.frontends.onnx.protos import check_text, copy_without_payloads
from mlc.frontends.onnx.tensors import (
    add_payload,
    element_of,
    inline_array,
    read_sparse,
    refer_to_weight,
    weight_name,
)
from mlc.frontends.onnx.wire import INLINE_BYTES, Payload
from mlc.host import file_identity

_FOREIGN: Final = (
    (0, b"version https://git-lfs", "it is a Git LFS pointer: run `git lfs pull`"),
    (0, b"PK\x03\x04", "it is a zip archive, perhaps of PyTorch or Keras: export the model to ONNX"),
    (0, b"\x80\x02", "it is a Python pickle, perhaps of PyTorch: export the model to ONNX"),
    (0, b"\x89HDF", "it is an HDF5 file, perhaps of Keras: export the model to ONNX"),
    (4, b"TFL3", "it is a TensorFlow Lite model: convert it to ONNX"),
    (4, b"ORTM", "it is an ONNX Runtime format model: use the .onnx file it was made from"),
    (0, b"<?xml", "it is XML, perhaps of OpenVINO: use the ONNX model it was made from"),
    (0, b"GGUF", "it is a GGUF model: export the model to ONNX"),
)


@dataclass
class LoadedModel:
    """A checked model: the graph without large payloads, and its weights by name.

    - ``proto``: nodes are sorted, names are defined once, default-domain operators are those of
      ``opset[""]``. A tensor of more than ``INLINE_BYTES`` has a name, type and dims but no values: read it
      with ``array``. Large ``Constant`` nodes and sparse initializers have become ordinary initializers.
    - ``weights``: every initializer by name (large tensors of other attributes by a name of their own),
      except those of strings. An initializer of an inner graph whose name is taken gets another
      (``weight_name``).
    - ``name``: the file's stem, or the graph's name.
    - ``opset``: version by domain; ``""`` is the default domain.
    """

    proto: ModelProto
    weights: WeightStore
    name: str
    opset: dict[str, int]
    limits: Limits
    _identify: Callable[[], str]

    @cached_property
    def identity(self) -> str:
        """What tells this model from others, for caches: of files, size, time and inode; else a SHA-256."""
        return self._identify()

    def array(self, tensor: TensorProto) -> Array:
        """The values of a tensor of ``proto``, be they in the proto or in the store."""
        name = weight_name(tensor)
        what = f"tensor {tensor.name!r}"
        return inline_array(tensor, self.limits, what) if name is None else self.weights.array(name)


def load_model(
    source: str | os.PathLike[str] | bytes | ModelProto,
    *,
    limits: Limits = Limits(),  # noqa: B008 (frozen)
    external_root: str | os.PathLike[str] | None = None,
) -> LoadedModel:
    """Load a model from a path, the bytes of a file, or a ``ModelProto`` (which is not changed).

    External data is read from beneath the model's folder, and from ``external_root`` if given, through links
    that stay there. Raises ``ModelError``, and ``UnsupportedError`` for operators and types out of reach.
    """
    root = None if external_root is None else os.fspath(external_root)
    if root is not None and not os.path.isdir(root):
        raise UsageError(f"{root} is no folder of external data", hint="pass one with --external-root")
    if isinstance(source, ModelProto):
        return _Loader(limits, ExternalFiles(None, root, limits)).from_proto(source)
    if isinstance(source, bytes):
        return _Loader(limits, ExternalFiles(None, root, limits)).from_bytes(source)
    path = os.fspath(source)
    folder = os.path.dirname(os.path.abspath(path))
    return _Loader(limits, ExternalFiles(folder, root, limits)).from_path(path)


class _Loader:
    """The state of one load: payloads found, weights so far, external files opened."""

    def __init__(self, limits: Limits, files: ExternalFiles) -> None:
        self.limits = limits
        self.files = files
        self.weights = WeightStore()
        self.mark = secrets.token_hex(16)
        self.payloads: list[Payload] = []
        self.weight_bytes = 0

    def from_path(self, path: str) -> LoadedModel:
        data, status = _map_model(path, self.limits)
        try:
            proto = self.parse(data)
        except ModelError as error:
            raise ModelError(f"{path}: {error.message}", hint=_foreign_hint(data) or error.hint) from None
        identity = f"{os.path.realpath(path)}:{file_identity(status)}"
        return self.finish(proto, Path(path).stem, lambda: "\n".join((identity, *self.files.identities)))

    def from_bytes(self, data: bytes) -> LoadedModel:
        if not data:
            raise ModelError("no bytes: not an ONNX model")
        self.limits.check("file_bytes", len(data), "model: bytes")
        proto = self.parse(data)
        return self.finish(proto, "", lambda: hashlib.sha256(data).hexdigest())

    def from_proto(self, model: ModelProto) -> LoadedModel:
        proto = ModelProto()
        copy_without_payloads(model, proto, self.mark, self.limits, self.payloads)
        loaded = self.finish(proto, "", lambda: _content_identity(loaded))
        return loaded

    def parse(self, data: Buffer) -> ModelProto:
        """Strip, then parse what is left."""
        stripped = wire.strip(data, self.mark, self.limits, self.payloads)
        wire.count_fields(stripped, ModelProto.DESCRIPTOR, self.limits)
        try:
            proto = ModelProto.FromString(stripped)
        except DecodeError as error:
            raise ModelError(f"truncated or not an ONNX model: {error}") from None
        if not proto.HasField("graph"):
            raise ModelError("not an ONNX model: it has no graph")
        return proto

    def finish(self, proto: ModelProto, name: str, identify: Callable[[], str]) -> LoadedModel:
        check_text(proto)
        check_model(proto, self.limits)
        self.take_graph(proto.graph)
        for function in proto.functions:
            self.take_attributes(function.node)
        opset = convert(proto, self.weights)
        number_labels(proto, self.weights)
        name = name or proto.graph.name or "model"
        return LoadedModel(proto, self.weights, name, opset, self.limits, identify)

    def take_graph(self, graph: GraphProto) -> None:
        """Move the initializers of a graph and of those within it into the store."""
        for tensor in graph.initializer:
            self.take(tensor, tensor.name, f"initializer {tensor.name!r}")
        for sparse in graph.sparse_initializer:
            self.take_sparse(sparse, graph.initializer.add(name=sparse.values.name))
        graph.ClearField("sparse_initializer")
        kept = [node for node in graph.node if not self.take_constant(node, graph)]
        if len(kept) < len(graph.node):
            rest = GraphProto(node=kept)
            graph.ClearField("node")
            graph.node.extend(rest.node)
        self.take_attributes(graph.node)
        for node in graph.node:
            for inner in subgraphs(node):
                self.take_graph(inner)

    def take_constant(self, node: NodeProto, graph: GraphProto) -> bool:
        """Make a large or sparse ``Constant`` an initializer; whether it was one."""
        if node.op_type != "Constant" or node.domain or len(node.attribute) != 1 or len(node.output) != 1:
            return False
        attribute = node.attribute[0]
        if attribute.HasField("sparse_tensor"):
            self.take_sparse(attribute.sparse_tensor, graph.initializer.add(name=node.output[0]))
            return True
        if attribute.t.data_location != TensorProto.EXTERNAL:
            return False
        tensor = graph.initializer.add()
        tensor.CopyFrom(attribute.t)
        tensor.name = node.output[0]
        self.take(tensor, tensor.name, f"constant {tensor.name!r}")
        return True

    def take_attributes(self, nodes: Iterable[NodeProto]) -> None:
        """Move what large tensors the attributes of these nodes have into the store."""
        for node in nodes:
            for attribute in node.attribute:
                what = f"{node_label(node)}: attribute {attribute.name!r}"
                for tensor in (*([attribute.t] if attribute.HasField("t") else ()), *attribute.tensors):
                    if tensor.data_location == TensorProto.EXTERNAL:
                        self.take(tensor, tensor.name or f"{node_label(node)}.{attribute.name}", what)
                    else:
                        tensor.ClearField("external_data")

    def take(self, tensor: TensorProto, base: str, what: str) -> None:
        """Add a tensor to the store; unless it is small, its values leave the proto."""
        if tensor.HasField("segment"):
            raise ModelError(f"{what}: segmented tensors are not supported")
        if tensor.data_type == TensorProto.STRING:
            tensor.ClearField("external_data")
            inline_array(tensor, self.limits, what)
            return
        element = element_of(tensor, what)
        count = element_count(tuple(tensor.dims), what, self.limits)
        self.weight_bytes += count * element.dtype.itemsize
        self.limits.check("weight_bytes", self.weight_bytes, "model: bytes of all weights")
        name = self.weights.unique_name(base)
        if tensor.data_location != TensorProto.EXTERNAL:
            tensor.ClearField("external_data")
            self.weights.add_array(name, inline_array(tensor, self.limits, what))
            if count * element.dtype.itemsize <= INLINE_BYTES:
                return
        else:
            payload = self.marked(tensor) or self.files.payload(tensor, element.raw_bytes(count), what)
            add_payload(self.weights, name, tensor, payload, self.limits, what)
        refer_to_weight(tensor, name)

    def take_sparse(self, sparse: SparseTensorProto, tensor: TensorProto) -> None:
        """Add a sparse tensor to the store, to be made dense when read; ``tensor`` becomes the dense one."""
        read = read_sparse(sparse, self.limits, f"sparse initializer {tensor.name!r}")
        tensor.data_type = sparse.values.data_type
        tensor.dims.extend(read.shape)
        name = self.weights.unique_name(tensor.name)
        self.weights.add_lazy(name, read.values.dtype, read.shape, read.dense)
        refer_to_weight(tensor, name)

    def marked(self, tensor: TensorProto) -> Payload | None:
        """The payload that the scan took out of this tensor, if it did."""
        if len(tensor.external_data) == 1 and tensor.external_data[0].key == self.mark:
            return self.payloads[int(tensor.external_data[0].value)]
        return None


def _map_model(path: str, limits: Limits) -> tuple[Buffer, os.stat_result]:
    """The contents of a model file, and its status; every way in which that can fail is a ``ModelError``."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ModelError(f"can't open the model {path}: {reason}") from None
    try:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise ModelError(f"{path} is a folder", hint="name the .onnx file in it")
        if not stat.S_ISREG(status.st_mode):
            raise ModelError(f"{path} is no regular file")
        if not status.st_size:
            raise ModelError(f"{path} is empty")
        limits.check("file_bytes", status.st_size, f"{path}: bytes")
        return map_file(descriptor, status.st_size), status
    finally:
        os.close(descriptor)


def _foreign_hint(data: Buffer) -> str | None:
    return next((hint for at, magic, hint in _FOREIGN if data[at : at + len(magic)] == magic), None)


def _content_identity(model: LoadedModel) -> str:
    hasher = hashlib.sha256(model.proto.SerializeToString(deterministic=True))
    for name in model.weights:
        hasher.update(f"{name}\0{model.weights.digest(name)}\0".encode())
    return hasher.hexdigest()
