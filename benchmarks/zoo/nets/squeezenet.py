"""SqueezeNet 1.1 (Iandola et al. 2016)."""

import onnx

from benchmarks.zoo.builder import Net, Tensor

# Index in torchvision's `features`, squeezed and expanded channels; None is a pooling.
_FIRES = (
    (3, 16, 64),
    (4, 16, 64),
    None,
    (6, 32, 128),
    (7, 32, 128),
    None,
    (9, 48, 192),
    (10, 48, 192),
    (11, 64, 256),
    (12, 64, 256),
)


def _fire(net: Net, x: Tensor, name: str, squeeze: int, expand: int) -> Tensor:
    x = net.relu(net.conv(x, f"{name}.squeeze", squeeze, bias=True))
    one = net.relu(net.conv(x, f"{name}.expand1x1", expand, bias=True))
    three = net.relu(net.conv(x, f"{name}.expand3x3", expand, 3, padding=1, bias=True))
    return net.concat([one, three])


def squeezenet1_1(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("squeezenet1_1", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.relu(net.conv(x, "features.0", 64, 3, stride=2, bias=True))
    x = net.max_pool(x, 3, 2, ceil=True)
    for fire in _FIRES:
        if fire is None:
            x = net.max_pool(x, 3, 2, ceil=True)
            continue
        index, squeeze, expand = fire
        x = _fire(net, x, f"features.{index}", squeeze, expand)
    x = net.relu(net.conv(x, "classifier.1", 1000, bias=True))
    net.output("logits", net.flatten(net.global_average_pool(x)))
    return net.model()
