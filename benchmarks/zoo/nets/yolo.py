"""YOLOv8n (Ultralytics 2023), the detector of 80 classes, with its decoding but without suppression.

Backbone of C2f blocks and SPPF, PAN neck, and an anchor-free head that predicts a distribution over 16 bins for
each side of the box (distribution focal loss).
"""

import numpy as np
import onnx

from benchmarks.zoo.builder import Net, Tensor
from benchmarks.zoo.samples import Feeds

_CLASSES = 80
_BINS = 16
_STRIDES = (8, 16, 32)


def _conv(net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1) -> Tensor:
    x = net.conv(x, f"{name}.conv", channels, kernel, stride=stride, padding=kernel // 2)
    return net.silu(net.batch_norm(x, f"{name}.bn", epsilon=1e-3))


def _c2f(net: Net, x: Tensor, name: str, channels: int, repeats: int, shortcut: bool) -> Tensor:
    parts = net.split(_conv(net, x, f"{name}.cv1", channels), 2)
    for i in range(repeats):
        y = _conv(net, parts[-1], f"{name}.m.{i}.cv1", channels // 2, 3)
        y = _conv(net, y, f"{name}.m.{i}.cv2", channels // 2, 3)
        parts.append(net.add(parts[-1], y) if shortcut else y)
    return _conv(net, net.concat(parts), f"{name}.cv2", channels)


def _sppf(net: Net, x: Tensor, name: str, channels: int) -> Tensor:
    parts = [_conv(net, x, f"{name}.cv1", channels // 2)]
    for _ in range(3):
        parts.append(net.max_pool(parts[-1], 5, 1, padding=2))
    return _conv(net, net.concat(parts), f"{name}.cv2", channels)


def _features(net: Net, x: Tensor) -> list[Tensor]:
    """Feature maps at strides 8, 16 and 32."""
    x = _conv(net, _conv(net, x, "model.0", 16, 3, 2), "model.1", 32, 3, 2)
    x = _c2f(net, x, "model.2", 32, 1, True)
    p3 = _c2f(net, _conv(net, x, "model.3", 64, 3, 2), "model.4", 64, 2, True)
    p4 = _c2f(net, _conv(net, p3, "model.5", 128, 3, 2), "model.6", 128, 2, True)
    x = _c2f(net, _conv(net, p4, "model.7", 256, 3, 2), "model.8", 256, 1, True)
    p5 = _sppf(net, x, "model.9", 256)
    up4 = _c2f(net, net.concat([net.upsample_nearest(p5, 2), p4]), "model.12", 128, 1, False)
    out3 = _c2f(net, net.concat([net.upsample_nearest(up4, 2), p3]), "model.15", 64, 1, False)
    down4 = net.concat([_conv(net, out3, "model.16", 64, 3, 2), up4])
    out4 = _c2f(net, down4, "model.18", 128, 1, False)
    down5 = net.concat([_conv(net, out4, "model.19", 128, 3, 2), p5])
    return [out3, out4, _c2f(net, down5, "model.21", 256, 1, False)]


def _branch(net: Net, x: Tensor, name: str, hidden: int, channels: int, bias_mean: float) -> Tensor:
    x = _conv(net, _conv(net, x, f"{name}.0", hidden, 3), f"{name}.1", hidden, 3)
    return net.conv(x, f"{name}.2", channels, bias=True, bias_mean=bias_mean)


def _anchors(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Centres of the cells [1, 2, A] in units of their stride, and the strides [1, A]."""
    centres: list[np.ndarray] = []
    strides: list[np.ndarray] = []
    for stride in _STRIDES:
        steps = np.arange(size // stride, dtype=np.float32) + np.float32(0.5)
        y, x = np.meshgrid(steps, steps, indexing="ij")
        centres.append(np.stack([x.ravel(), y.ravel()]))
        strides.append(np.full((1, x.size), stride, np.float32))
    return np.concatenate(centres, axis=1)[None], np.concatenate(strides, axis=1)


def _boxes(net: Net, x: Tensor, size: int) -> Tensor:
    """Box distributions [1, 64, A] decoded to centre and size in pixels [1, 4, A]."""
    count = x.shape[2]
    x = net.transpose(net.reshape(x, (1, 4, _BINS, count)), (0, 2, 1, 3))
    x = net.apply("Softmax", [x], x.shape, axis=1)
    bins = net.constant("model.22.dfl.conv.weight", np.arange(_BINS, dtype=np.float32).reshape(1, -1, 1, 1))
    x = net.apply("Conv", [x, bins], (1, 1, 4, count), name="model.22.dfl.conv", kernel_shape=[1, 1])
    low, high = net.split(net.reshape(x, (1, 4, count)), 2)
    centres, strides = _anchors(size)
    anchors = net.constant("model.22.anchors", centres)
    low = net.apply("Sub", [anchors, low], low.shape)
    high = net.apply("Add", [anchors, high], high.shape)
    middle = net.apply("Div", [net.add(low, high), net.constant("model.22.two", np.array(2.0, np.float32))], low.shape)
    extent = net.apply("Sub", [high, low], low.shape)
    pixels = net.constant("model.22.strides", strides)
    return net.apply("Mul", [net.concat([middle, extent]), pixels], (1, 4, count))


def _yolov8n(name: str, seed: int, size: int) -> onnx.ModelProto:
    net = Net(name, seed)
    features = _features(net, net.input("images", (1, 3, size, size), mean=0.45, variance=0.07))
    heads: list[Tensor] = []
    for i, x in enumerate(features):
        boxes = _branch(net, x, f"model.22.cv2.{i}", 64, 4 * _BINS, 0.0)
        scores = _branch(net, x, f"model.22.cv3.{i}", 80, _CLASSES, -4.0)
        area = x.shape[2] * x.shape[3]
        heads.append(net.reshape(net.concat([boxes, scores]), (1, 4 * _BINS + _CLASSES, area)))
    count = sum(h.shape[2] for h in heads)
    joined = net.apply("Concat", list(heads), (1, 4 * _BINS + _CLASSES, count), axis=2)
    sizes = net.constant("model.22.sizes", np.array([4 * _BINS, _CLASSES], np.int64))
    boxes, scores = net.nodes("Split", [joined.name, sizes], 2, axis=1)
    decoded = _boxes(net, Tensor(boxes, (1, 4 * _BINS, count), joined.moments), size)
    confidence = net.apply("Sigmoid", [scores], (1, _CLASSES, count))
    net.output("output0", net.concat([decoded, confidence]))
    return net.model()


def yolov8n(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 640, 640] in 0..1, output boxes (x, y, w, h in pixels) and class scores [1, 84, 8400]."""
    return _yolov8n("yolov8n", seed, 640)


def yolov8n_320(seed: int) -> onnx.ModelProto:
    """As `yolov8n` with input [1, 3, 320, 320] and output [1, 84, 2100]."""
    return _yolov8n("yolov8n_320", seed, 320)


def units(outputs: Feeds) -> Feeds:
    """The output's boxes in hundreds of pixels, and its scores before their sigmoid."""
    boxes, scores = np.split(outputs["output0"].astype(np.float64), [4], axis=1)
    scores = np.clip(scores, 1e-9, 1 - 1e-7)
    return {"boxes": boxes / 100, "class logits": np.log(scores / (1 - scores))}
