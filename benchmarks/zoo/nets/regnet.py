"""RegNetY of 400 million multiply-adds (Radosavovic et al. 2020)."""

import onnx

from benchmarks.zoo.builder import RESIDUAL, Net, Tensor

# Width and blocks of each stage.
_STAGES = ((48, 1), (104, 3), (208, 6), (440, 6))
_GROUP_WIDTH = 8
_SQUEEZE = 0.25


def _conv_bn(
    net: Net, x: Tensor, name: str, channels: int, kernel: int = 1, stride: int = 1, groups: int = 1, gain: float = 1.0
) -> Tensor:
    x = net.conv(x, f"{name}.0", channels, kernel, stride=stride, padding=kernel // 2, groups=groups)
    return net.batch_norm(x, f"{name}.1", gain=gain)


def _block(net: Net, x: Tensor, name: str, width: int, stride: int) -> Tensor:
    y = net.relu(_conv_bn(net, x, f"{name}.f.a", width))
    y = net.relu(_conv_bn(net, y, f"{name}.f.b", width, 3, stride, groups=width // _GROUP_WIDTH))
    gate = net.conv(net.global_average_pool(y), f"{name}.f.se.fc1", round(_SQUEEZE * x.channels), bias=True)
    y = net.scale(y, net.sigmoid(net.conv(net.relu(gate), f"{name}.f.se.fc2", width, bias=True)))
    y = _conv_bn(net, y, f"{name}.f.c", width, gain=RESIDUAL)
    if y.shape != x.shape:
        x = _conv_bn(net, x, f"{name}.proj", width, stride=stride)
    return net.relu(net.add(x, y))


def regnet_y_400mf(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("regnet_y_400mf", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.relu(_conv_bn(net, x, "stem", 32, 3, 2))
    for stage, (width, blocks) in enumerate(_STAGES, start=1):
        for block in range(blocks):
            x = _block(net, x, f"trunk_output.block{stage}.block{stage}-{block}", width, 2 if block == 0 else 1)
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "fc", 1000))
    return net.model()
