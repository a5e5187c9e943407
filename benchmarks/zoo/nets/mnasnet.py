"""MNASNet at depth multiplier 1.0 (Tan et al. 2018, B1)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Output channels, kernel, stride of the first, expansion, repeats.
_STAGES = (
    (24, 3, 2, 3, 3),
    (40, 5, 2, 3, 3),
    (80, 5, 2, 6, 3),
    (96, 3, 1, 6, 2),
    (192, 5, 2, 6, 4),
    (320, 3, 1, 6, 1),
)


def _conv_bn(
    net: Net,
    x: Tensor,
    name: str,
    layer: int,
    channels: int,
    kernel: int = 1,
    stride: int = 1,
    groups: int = 1,
    gain: float = 1.0,
) -> Tensor:
    x = net.conv(x, f"{name}.{layer}", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.batch_norm(x, f"{name}.{layer + 1}", gain=gain)


def _inverted_residual(
    net: Net, x: Tensor, name: str, channels: int, kernel: int, stride: int, expansion: int
) -> Tensor:
    inside = x.channels * expansion
    y = net.relu(_conv_bn(net, x, f"{name}.layers", 0, inside))
    y = net.relu(_conv_bn(net, y, f"{name}.layers", 3, inside, kernel, stride, groups=inside))
    residual = stride == 1 and channels == x.channels
    y = _conv_bn(net, y, f"{name}.layers", 6, channels, gain=RESIDUAL if residual else 1.0)
    return net.add(y, x) if residual else y


def mnasnet(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("mnasnet", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.relu(_conv_bn(net, x, "layers", 0, 32, 3, 2))
    x = net.relu(_conv_bn(net, x, "layers", 3, 32, 3, groups=32))
    x = _conv_bn(net, x, "layers", 6, 16)
    for stage, (channels, kernel, stride, expansion, repeats) in enumerate(_STAGES, start=8):
        for repeat in range(repeats):
            first = stride if repeat == 0 else 1
            x = _inverted_residual(net, x, f"layers.{stage}.{repeat}", channels, kernel, first, expansion)
    x = net.relu(_conv_bn(net, x, "layers", 14, 1280))
    net.output("logits", net.linear(net.mean(x), "classifier.1", 1000))
    return net.model()
