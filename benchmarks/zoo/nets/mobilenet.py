"""MobileNetV2 at width 1.0 (Sandler et al. 2018)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Expansion, output channels, repeats, stride of the first.
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)


def _conv_bn_relu6(
    net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Tensor:
    x = net.conv(x, f"{name}.0", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.relu6(net.batch_norm(x, f"{name}.1"))


def _inverted_residual(net: Net, x: Tensor, name: str, expansion: int, channels: int, stride: int) -> Tensor:
    y, layer = x, 0
    if expansion != 1:
        y, layer = _conv_bn_relu6(net, x, f"{name}.conv.0", x.channels * expansion), 1
    y = _conv_bn_relu6(net, y, f"{name}.conv.{layer}", y.channels, 3, stride, groups=y.channels)
    y = net.conv(y, f"{name}.conv.{layer + 1}", channels)
    residual = y.shape == x.shape
    y = net.batch_norm(y, f"{name}.conv.{layer + 2}", gain=RESIDUAL if residual else 1.0)
    return net.add(x, y) if residual else y


def mobilenet_v2(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("mobilenet_v2", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = _conv_bn_relu6(net, x, "features.0", 32, 3, 2)
    layer = 1
    for expansion, channels, repeats, stride in _STAGES:
        for repeat in range(repeats):
            first = stride if repeat == 0 else 1
            x = _inverted_residual(net, x, f"features.{layer}", expansion, channels, first)
            layer += 1
    x = _conv_bn_relu6(net, x, f"features.{layer}", 1280)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "classifier.1", 1000))
    return net.model()
