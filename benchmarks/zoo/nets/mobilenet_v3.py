"""MobileNetV3-Large (Howard et al. 2019)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Kernel, expanded channels, output channels, squeeze and excitation, hard swish instead of relu, stride.
_BLOCKS = (
    (3, 16, 16, False, False, 1),
    (3, 64, 24, False, False, 2),
    (3, 72, 24, False, False, 1),
    (5, 72, 40, True, False, 2),
    (5, 120, 40, True, False, 1),
    (5, 120, 40, True, False, 1),
    (3, 240, 80, False, True, 2),
    (3, 200, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 184, 80, False, True, 1),
    (3, 480, 112, True, True, 1),
    (3, 672, 112, True, True, 1),
    (5, 672, 160, True, True, 2),
    (5, 960, 160, True, True, 1),
    (5, 960, 160, True, True, 1),
)
_EPSILON = 1e-3


def _conv_bn(
    net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, gain: float = 1.0
) -> Tensor:
    x = net.conv(x, f"{name}.0", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.batch_norm(x, f"{name}.1", epsilon=_EPSILON, gain=gain)


def _multiple_of_8(channels: int) -> int:
    """The nearest multiple that takes away a tenth at most."""
    nearest = max(8, (channels + 4) // 8 * 8)
    return nearest + 8 if nearest < 0.9 * channels else nearest


def _squeeze_excitation(net: Net, x: Tensor, name: str) -> Tensor:
    squeezed = _multiple_of_8(x.channels // 4)
    gate = net.relu(net.conv(net.global_average_pool(x), f"{name}.fc1", squeezed, bias=True))
    return net.scale(x, net.hard_sigmoid(net.conv(gate, f"{name}.fc2", x.channels, bias=True)))


def _block(
    net: Net, x: Tensor, name: str, kernel: int, expanded: int, channels: int, gated: bool, swish: bool, stride: int
) -> Tensor:
    activation = net.hard_swish if swish else net.relu
    y, layer = x, 0
    if expanded != x.channels:
        y, layer = activation(_conv_bn(net, x, f"{name}.block.0", expanded)), 1
    y = activation(_conv_bn(net, y, f"{name}.block.{layer}", expanded, kernel, stride, groups=expanded))
    if gated:
        layer += 1
        y = _squeeze_excitation(net, y, f"{name}.block.{layer}")
    residual = stride == 1 and channels == x.channels
    y = _conv_bn(net, y, f"{name}.block.{layer + 1}", channels, gain=RESIDUAL if residual else 1.0)
    return net.add(y, x) if residual else y


def mobilenet_v3_large(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("mobilenet_v3_large", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.hard_swish(_conv_bn(net, x, "features.0", 16, 3, 2))
    for number, block in enumerate(_BLOCKS, start=1):
        x = _block(net, x, f"features.{number}", *block)
    x = net.hard_swish(_conv_bn(net, x, "features.16", 960))
    x = net.flatten(net.global_average_pool(x))
    x = net.hard_swish(net.linear(x, "classifier.0", 1280))
    net.output("logits", net.linear(x, "classifier.3", 1000))
    return net.model()
