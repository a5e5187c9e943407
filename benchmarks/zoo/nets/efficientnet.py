"""EfficientNet-B0 (Tan and Le 2019)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Expansion, kernel, stride of the first, output channels, repeats.
_STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)


def _conv_bn_silu(
    net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1
) -> Tensor:
    x = net.conv(x, f"{name}.0", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.silu(net.batch_norm(x, f"{name}.1"))


def _squeeze_excitation(net: Net, x: Tensor, name: str, squeezed: int) -> Tensor:
    gate = net.global_average_pool(x)
    gate = net.silu(net.conv(gate, f"{name}.fc1", squeezed, bias=True))
    gate = net.sigmoid(net.conv(gate, f"{name}.fc2", x.channels, bias=True))
    return net.scale(x, gate)


def _mbconv(net: Net, x: Tensor, name: str, expansion: int, kernel: int, stride: int, channels: int) -> Tensor:
    y, layer = x, 0
    if expansion != 1:
        y, layer = _conv_bn_silu(net, x, f"{name}.block.0", x.channels * expansion), 1
    y = _conv_bn_silu(net, y, f"{name}.block.{layer}", y.channels, kernel, stride, groups=y.channels)
    y = _squeeze_excitation(net, y, f"{name}.block.{layer + 1}", max(1, x.channels // 4))
    y = net.conv(y, f"{name}.block.{layer + 2}.0", channels)
    residual = y.shape == x.shape
    y = net.batch_norm(y, f"{name}.block.{layer + 2}.1", gain=RESIDUAL if residual else 1.0)
    return net.add(y, x) if residual else y


def efficientnet_b0(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("efficientnet_b0", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = _conv_bn_silu(net, x, "features.0", 32, 3, 2)
    for stage, (expansion, kernel, stride, channels, repeats) in enumerate(_STAGES, start=1):
        for repeat in range(repeats):
            first = stride if repeat == 0 else 1
            x = _mbconv(net, x, f"features.{stage}.{repeat}", expansion, kernel, first, channels)
    x = _conv_bn_silu(net, x, "features.8", 1280)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "classifier.1", 1000))
    return net.model()
