"""MobileNet at width 1.0 (Howard et al. 2017), the classifier, and the SSD detector of 20 classes upon it.

The detector is the one that embedded frameworks are benchmarked with: 300x300 pixels, six feature maps, 1917 boxes
(Liu et al. 2016), with the decoding of boxes but without suppression.
"""

from itertools import product

import numpy as np
import onnx

from benchmarks.zoo.builder import Net, Tensor
from benchmarks.zoo.samples import Array, Feeds

_SHIFT = 0.8
"""Without residual connections, noise grows with every unit that is off; so more of them are on."""

# Output channels and stride of each depthwise-separable block.
_BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *((512, 1),) * 5, (1024, 2), (1024, 1))


def _conv_bn_relu(
    net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Tensor:
    x = net.conv(x, f"{name}.0", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.relu(net.batch_norm(x, f"{name}.1", shift=_SHIFT))


def _features(net: Net, x: Tensor) -> list[Tensor]:
    """The feature maps after the first convolution and after each block."""
    found = [_conv_bn_relu(net, x, "features.0", 32, 3, 2)]
    for block, (channels, stride) in enumerate(_BLOCKS, start=1):
        x = _conv_bn_relu(net, found[-1], f"features.{block}.dw", found[-1].channels, 3, stride, found[-1].channels)
        found.append(_conv_bn_relu(net, x, f"features.{block}.pw", channels))
    return found


def mobilenet_v1(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("mobilenet_v1", seed)
    x = _features(net, net.input("input", (1, 3, 224, 224)))[-1]
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "classifier", 1000))
    return net.model()


# --- SSD

_SIZE = 300
_CLASSES = 21  # with background
_EXTRA = ((256, 512), (128, 256), (128, 256), (64, 128))
"""Channels of the 1x1 and of the 3x3 convolution, of stride 2, of each further feature map."""

_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_VARIANCES = (0.1, 0.1, 0.2, 0.2)


def _priors(sizes: list[int]) -> Array:
    """Centres and sizes of the boxes [1, 1917, 4], in parts of the image; the first map has three, others six."""
    boxes: list[tuple[float, float, float, float]] = []
    for number, size in enumerate(sizes):
        scale, larger = _SCALES[number], (_SCALES[number] * _SCALES[number + 1]) ** 0.5
        ratios = (1.0, 2.0, 0.5) if number == 0 else (1.0, 2.0, 0.5, 3.0, 1 / 3)
        shapes = [(scale * r**0.5, scale / r**0.5) for r in ratios] + ([] if number == 0 else [(larger, larger)])
        for y, x in product(range(size), repeat=2):
            boxes += [((x + 0.5) / size, (y + 0.5) / size, w, h) for w, h in shapes]
    return np.array(boxes, np.float32)[None]


def _head(net: Net, x: Tensor, name: str, values: int, boxes: int, bias_mean: float) -> Tensor:
    """``values`` per box of a feature map, [1, H * W * boxes, values]."""
    y = net.conv(x, name, values * boxes, bias=True, bias_mean=bias_mean)
    return net.reshape(net.transpose(y, (0, 2, 3, 1)), (1, y.shape[2] * y.shape[3] * boxes, values))


def _decoded(net: Net, x: Tensor, priors: Array) -> Tensor:
    """Corners of the boxes [1, N, 4] from offsets to the priors."""
    spread = net.constant("offset_scales", np.array(_VARIANCES, np.float32))
    scaled = net.apply("Mul", [x, spread], x.shape)
    halves = net.constant("halves", np.array([2, 2], np.int64))
    half_shape = (1, x.shape[1], 2)
    centres, sizes = net.nodes("Split", [scaled.name, halves], 2, axis=2)
    middle = net.constant("centre_anchors", np.ascontiguousarray(priors[..., :2]))
    extent = net.constant("size_anchors", np.ascontiguousarray(priors[..., 2:]))
    centre = net.apply("Add", [net.apply("Mul", [centres, extent], half_shape), middle], half_shape)
    size = net.apply("Mul", [net.apply("Exp", [sizes], half_shape), extent], half_shape)
    half = net.apply("Mul", [size, net.constant("half", np.array(0.5, np.float32))], half_shape)
    corners = [net.apply(op, [centre, half], half_shape) for op in ("Sub", "Add")]
    return net.apply("Concat", list(corners), x.shape, axis=2)


def mobilenet_ssd(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 300, 300] in 0..1, outputs boxes (corners) [1, 1917, 4] and class scores [1, 1917, 21]."""
    net = Net("mobilenet_ssd", seed)
    features = _features(net, net.input("images", (1, 3, _SIZE, _SIZE), mean=0.45, variance=0.07))
    maps = [features[11], features[13]]
    for number, (narrow, channels) in enumerate(_EXTRA):
        x = _conv_bn_relu(net, maps[-1], f"extras.{number}.0", narrow)
        maps.append(_conv_bn_relu(net, x, f"extras.{number}.1", channels, 3, 2))
    counts = [3, *[6] * 5]
    offsets = [_head(net, x, f"loc.{i}", 4, n, 0.0) for i, (x, n) in enumerate(zip(maps, counts))]
    scores = [_head(net, x, f"conf.{i}", _CLASSES, n, 0.0) for i, (x, n) in enumerate(zip(maps, counts))]
    total = sum(x.shape[1] for x in offsets)
    joined = net.apply("Concat", list(scores), (1, total, _CLASSES), axis=1)
    net.output("scores", net.apply("Softmax", [joined], joined.shape, axis=2))
    joined = net.apply("Concat", list(offsets), (1, total, 4), axis=1)
    net.output("boxes", _decoded(net, joined, _priors([x.shape[2] for x in maps])))
    return net.model()


def units(outputs: Feeds) -> Feeds:
    """The scores before their softmax, and the boxes in tenths of the image."""
    scores = np.log(np.maximum(outputs["scores"].astype(np.float64), 1e-9))
    return {"class logits": scores, "boxes": outputs["boxes"] * 10}
