"""A builder of ONNX networks with seeded weights that keep activations in range.

Layers are named as in PyTorch, and the graph is what PyTorch's exporter writes for the network in inference
mode, with batch normalisation left in place as nodes of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from benchmarks.zoo import moments, seeds
from benchmarks.zoo.moments import Moments

OPSET = 17
IR_VERSION = 8
Array = npt.NDArray[Any]
Shape = tuple[int, ...]

# A filter over at least so many channels sums to zero, so that an error common to their predicted means cancels.
# Over fewer it must not: it would take away the low frequencies, which are most of an image.
_MANY = 16

# Mean of the biases before activations. With most units active, noise is amplified little through the depth, as in
# trained networks; with zero, a random network of this depth amplifies it a hundredfold.
SHIFT = 0.4

# Scale of a batch normalisation that ends a residual branch: trained networks too have it well below 1.
RESIDUAL = 0.4


@dataclass(frozen=True)
class Tensor:
    """A value of the graph; `moments` are those of the channels, which are dim 1 of `shape`."""

    name: str
    shape: Shape
    moments: Moments

    @property
    def channels(self) -> int:
        return self.shape[1]


def sigmoid(x: moments.Floats) -> moments.Floats:
    return 1.0 / (1.0 + np.exp(-x))


class Net:
    """Collects nodes and weights; `model()` makes the ModelProto. Every weight depends on seed and name only."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.seed = seed
        self._model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="mlc.benchmarks.zoo")
        self._model.opset_import.append(helper.make_opsetid("", OPSET))
        self._model.graph.name = name
        self._graph = self._model.graph
        self._uses: dict[str, int] = {}

    # -- plumbing

    def input(self, name: str, shape: Shape, mean: float = 0.0, variance: float = 1.0) -> Tensor:
        self._graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
        return Tensor(name, shape, moments.constant(shape[1], mean, variance))

    def output(self, name: str, x: Tensor) -> None:
        """Make `x`, the result of the last node, an output of the graph under `name`."""
        node = self._graph.node[-1]
        if list(node.output) != [x.name]:
            raise ValueError(f"{x.name!r} is not the last node's only result")
        node.output[0] = name
        self._graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, x.shape))

    def model(self) -> onnx.ModelProto:
        return self._model

    def constant(self, name: str, value: Array) -> str:
        """Store `value` as the initializer `name` and return the name."""
        # Straight into the model: large weights are not copied more often than protobuf needs.
        weight = self._graph.initializer.add(name=name, dims=value.shape)
        weight.data_type = helper.np_dtype_to_tensor_dtype(value.dtype)
        weight.raw_data = value.tobytes()
        return name

    def random(self, name: str, shape: Shape, *, mean: float = 0.0, std: float = 1.0) -> seeds.Float32:
        return seeds.normal(self.seed, name, shape, mean=mean, std=std)

    def nodes(self, op_type: str, inputs: Sequence[str], outputs: int, name: str = "", **attributes: Any) -> list[str]:
        """Append a node with so many outputs and return their names."""
        name = self._unique(name or op_type.lower())
        names = [name] if outputs == 1 else [f"{name}.{i}" for i in range(outputs)]
        self._graph.node.append(helper.make_node(op_type, inputs, names, name=name, **attributes))
        return names

    def apply(
        self,
        op_type: str,
        inputs: Sequence[Tensor | str],
        shape: Shape,
        stats: Moments | None = None,
        name: str = "",
        **attributes: Any,
    ) -> Tensor:
        """Append a node with one output of `shape`; without `stats` it counts as standard normal."""
        operands = [x if isinstance(x, str) else x.name for x in inputs]
        (output,) = self.nodes(op_type, operands, 1, name, **attributes)
        return Tensor(output, shape, moments.constant(shape[1]) if stats is None else stats)

    def _unique(self, name: str) -> str:
        count = self._uses[name] = self._uses.get(name, 0) + 1
        return name if count == 1 else f"{name}_{count - 1}"

    # -- layers with weights

    def _weight(self, name: str, shape: Shape, x: Moments, fan_in: int) -> seeds.Float32:
        """Rows scaled so that the result has variance near 1, each row by a factor of its own."""
        std = float((fan_in * np.mean(x.variance)) ** -0.5)
        weight = self.random(f"{name}.weight", shape, std=std)
        spread = np.exp(self.random(f"{name}.spread", (shape[0],), std=0.25))
        if shape[1] >= _MANY:
            weight -= weight.reshape(shape[0], -1).mean(axis=1).reshape(-1, *[1] * (len(shape) - 1))
        weight *= spread.reshape(-1, *[1] * (len(shape) - 1))
        return weight

    def _bias(self, name: str, result: Moments, mean: float) -> tuple[str, Moments]:
        """A bias that moves the result's mean to about `mean`."""
        bias = self.random(f"{name}.bias", result.mean.shape, mean=mean, std=0.1) - result.mean.astype(np.float32)
        stats = Moments(result.mean + bias, result.variance)
        return self.constant(f"{name}.bias", bias), stats

    def conv(
        self,
        x: Tensor,
        name: str,
        channels: int,
        kernel: int = 1,
        *,
        stride: int = 1,
        padding: int = 0,
        groups: int = 1,
        bias: bool = False,
        bias_mean: float = SHIFT,
    ) -> Tensor:
        """A square convolution of `x: [N, C, H, W]`."""
        fan_in = x.channels // groups * kernel**2
        weight = self._weight(name, (channels, x.channels // groups, kernel, kernel), x.moments, fan_in)
        stats = moments.weighted(weight, x.moments, groups)
        operands: list[Tensor | str] = [x, self.constant(f"{name}.weight", weight)]
        if bias:
            bias_name, stats = self._bias(name, stats, bias_mean)
            operands.append(bias_name)
        height, width = ((d + 2 * padding - kernel) // stride + 1 for d in x.shape[2:])
        return self.apply(
            "Conv",
            operands,
            (x.shape[0], channels, height, width),
            stats,
            name,
            dilations=[1, 1],
            group=groups,
            kernel_shape=[kernel, kernel],
            pads=[padding] * 4,
            strides=[stride, stride],
        )

    def conv_transpose(self, x: Tensor, name: str, channels: int, factor: int) -> Tensor:
        """A transposed convolution that scales `x: [N, C, H, W]` up by `factor`, windows not overlapping."""
        # Each output position sees one tap, so the taps act as that many output channels.
        taps = self._weight(name, (channels * factor**2, x.channels), x.moments, x.channels)
        each = moments.weighted(taps, x.moments)
        stats = Moments(each.mean.reshape(channels, -1).mean(axis=1), each.variance.reshape(channels, -1).mean(axis=1))
        weight = np.ascontiguousarray(taps.T).reshape(x.channels, channels, factor, factor)
        operands: list[Tensor | str] = [x, self.constant(f"{name}.weight", weight)]
        bias_name, stats = self._bias(name, stats, 0.0)
        operands.append(bias_name)
        shape = (x.shape[0], channels, x.shape[2] * factor, x.shape[3] * factor)
        sizes = [factor, factor]
        return self.apply(
            "ConvTranspose", operands, shape, stats, name, kernel_shape=sizes, pads=[0] * 4, strides=sizes
        )

    def linear(self, x: Tensor, name: str, channels: int, *, bias_mean: float = 0.0) -> Tensor:
        """A fully connected layer of `x: [N, C]`, as the Gemm with transposed weight that exporters write."""
        weight = self._weight(name, (channels, x.channels), x.moments, x.channels)
        bias, stats = self._bias(name, moments.weighted(weight, x.moments), bias_mean)
        operands = [x, self.constant(f"{name}.weight", weight), bias]
        return self.apply("Gemm", operands, (x.shape[0], channels), stats, name, transB=1)

    def batch_norm(
        self, x: Tensor, name: str, *, epsilon: float = 1e-5, gain: float = 1.0, shift: float = SHIFT
    ) -> Tensor:
        """Batch normalisation whose running statistics are near, not equal to, those of `x`.

        The result's means are near `shift`.
        """
        shape = (x.channels,)
        deviation = np.sqrt(x.moments.variance)
        values = {
            "weight": self.random(f"{name}.weight", shape, mean=gain, std=0.15 * gain),
            "bias": self.random(f"{name}.bias", shape, mean=shift, std=0.15),
            "running_mean": x.moments.mean + deviation * self.random(f"{name}.running_mean", shape, std=0.05),
            "running_var": x.moments.variance * np.exp(self.random(f"{name}.running_var", shape, std=0.1)),
        }
        scale = values["weight"] / np.sqrt(values["running_var"] + epsilon)
        stats = Moments(
            values["bias"] + scale * (x.moments.mean - values["running_mean"]), scale**2 * x.moments.variance
        )
        names = [self.constant(f"{name}.{key}", v.astype(np.float32)) for key, v in values.items()]
        return self.apply("BatchNormalization", [x, *names], x.shape, stats, name, epsilon=epsilon, momentum=0.9)

    # -- layers without weights

    def relu(self, x: Tensor) -> Tensor:
        return self.apply("Relu", [x], x.shape, moments.through(lambda v: np.maximum(v, 0.0), x.moments))

    def relu6(self, x: Tensor) -> Tensor:
        bounds = [
            self.constant(self._unique(f"clip.{b}"), np.array(v, np.float32)) for b, v in (("min", 0.0), ("max", 6.0))
        ]
        stats = moments.through(lambda v: np.clip(v, 0.0, 6.0), x.moments)
        return self.apply("Clip", [x, *bounds], x.shape, stats)

    def sigmoid(self, x: Tensor) -> Tensor:
        return self.apply("Sigmoid", [x], x.shape, moments.through(sigmoid, x.moments))

    def silu(self, x: Tensor) -> Tensor:
        """x * sigmoid(x), as the two nodes that exporters write."""
        stats = moments.through(lambda v: v * sigmoid(v), x.moments)
        return self.apply("Mul", [x, self.sigmoid(x)], x.shape, stats)

    def hard_sigmoid(self, x: Tensor) -> Tensor:
        stats = moments.through(lambda v: np.clip(v / 6 + 0.5, 0.0, 1.0), x.moments)
        return self.apply("HardSigmoid", [x], x.shape, stats, alpha=1 / 6)

    def hard_swish(self, x: Tensor) -> Tensor:
        stats = moments.through(lambda v: v * np.clip(v / 6 + 0.5, 0.0, 1.0), x.moments)
        return self.apply("HardSwish", [x], x.shape, stats)

    def add(self, a: Tensor, b: Tensor) -> Tensor:
        return self.apply("Add", [a, b], a.shape, moments.total(a.moments, b.moments))

    def scale(self, x: Tensor, gate: Tensor) -> Tensor:
        """`x * gate`, the gate broadcast over positions."""
        return self.apply("Mul", [x, gate], x.shape, moments.product(x.moments, gate.moments))

    def concat(self, parts: Sequence[Tensor]) -> Tensor:
        """The parts joined along the channels."""
        stats = moments.concatenated([p.moments for p in parts])
        first = parts[0].shape
        return self.apply("Concat", list(parts), (first[0], len(stats), *first[2:]), stats, axis=1)

    def max_pool(self, x: Tensor, kernel: int, stride: int, *, padding: int = 0, ceil: bool = False) -> Tensor:
        rounding = stride - 1 if ceil else 0
        height, width = ((d + 2 * padding - kernel + rounding) // stride + 1 for d in x.shape[2:])
        return self.apply(
            "MaxPool",
            [x],
            (*x.shape[:2], height, width),
            moments.max_pooled(x.moments, kernel**2),
            ceil_mode=int(ceil),
            kernel_shape=[kernel, kernel],
            pads=[padding] * 4,
            strides=[stride, stride],
        )

    def average_pool(self, x: Tensor, kernel: int, stride: int) -> Tensor:
        height, width = ((d - kernel) // stride + 1 for d in x.shape[2:])
        stats = moments.mean_pooled(x.moments, kernel**2)
        sizes: dict[str, Any] = {
            "kernel_shape": [kernel, kernel],
            "pads": [0] * 4,
            "strides": [stride, stride],
        }
        return self.apply("AveragePool", [x], (*x.shape[:2], height, width), stats, **sizes)

    def global_average_pool(self, x: Tensor) -> Tensor:
        stats = moments.mean_pooled(x.moments, x.shape[2] * x.shape[3])
        return self.apply("GlobalAveragePool", [x], (*x.shape[:2], 1, 1), stats)

    def mean(self, x: Tensor) -> Tensor:
        """The mean of `x: [N, C, H, W]` over its positions, [N, C]."""
        stats = moments.mean_pooled(x.moments, x.shape[2] * x.shape[3])
        return self.apply("ReduceMean", [x], x.shape[:2], stats, axes=[2, 3], keepdims=0)

    def flatten(self, x: Tensor) -> Tensor:
        """`x: [N, C, H, W]` as [N, C*H*W]."""
        area = x.shape[2] * x.shape[3]
        stats = Moments(np.repeat(x.moments.mean, area), np.repeat(x.moments.variance, area))
        return self.apply("Flatten", [x], (x.shape[0], x.channels * area), stats, axis=1)

    def upsample_nearest(self, x: Tensor, factor: int) -> Tensor:
        scales = self.constant(self._unique("resize.scales"), np.array([1, 1, factor, factor], np.float32))
        shape = (*x.shape[:2], x.shape[2] * factor, x.shape[3] * factor)
        how: dict[str, Any] = {
            "coordinate_transformation_mode": "asymmetric",
            "mode": "nearest",
            "nearest_mode": "floor",
        }
        return self.apply("Resize", [x, "", scales], shape, x.moments, **how)

    def split(self, x: Tensor, parts: int) -> list[Tensor]:
        """`x` cut along the channels into equal parts."""
        each = x.channels // parts
        sizes = self.constant(self._unique("split.sizes"), np.full(parts, each, np.int64))
        names = self.nodes("Split", [x.name, sizes], parts, axis=1)
        return [
            Tensor(
                name,
                (x.shape[0], each, *x.shape[2:]),
                Moments(x.moments.mean[i * each : (i + 1) * each], x.moments.variance[i * each : (i + 1) * each]),
            )
            for i, name in enumerate(names)
        ]

    def reshape(self, x: Tensor, shape: Shape) -> Tensor:
        target = self.constant(self._unique("reshape.shape"), np.array(shape, np.int64))
        return self.apply("Reshape", [x, target], shape)

    def transpose(self, x: Tensor, permutation: Sequence[int]) -> Tensor:
        return self.apply("Transpose", [x], tuple(x.shape[p] for p in permutation), perm=list(permutation))
