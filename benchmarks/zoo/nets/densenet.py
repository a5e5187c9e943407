"""DenseNet-121 (Huang et al. 2016), with every layer concatenating all earlier features, as torchvision."""

import onnx

from benchmarks.zoo.builder import Net, Tensor

_BLOCKS = (6, 12, 24, 16)
_GROWTH = 32
_BOTTLENECK = 4 * _GROWTH


def _dense_layer(net: Net, features: list[Tensor], name: str) -> Tensor:
    x = features[0] if len(features) == 1 else net.concat(features)
    x = net.relu(net.batch_norm(x, f"{name}.norm1"))
    x = net.conv(x, f"{name}.conv1", _BOTTLENECK)
    x = net.relu(net.batch_norm(x, f"{name}.norm2"))
    return net.conv(x, f"{name}.conv2", _GROWTH, 3, padding=1)


def _transition(net: Net, x: Tensor, name: str) -> Tensor:
    x = net.relu(net.batch_norm(x, f"{name}.norm"))
    return net.average_pool(net.conv(x, f"{name}.conv", x.channels // 2), 2, 2)


def densenet121(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("densenet121", seed)
    x = net.input("input", (1, 3, 224, 224))
    x = net.conv(x, "features.conv0", 64, 7, stride=2, padding=3)
    x = net.max_pool(net.relu(net.batch_norm(x, "features.norm0")), 3, 2, padding=1)
    for block, layers in enumerate(_BLOCKS, start=1):
        features = [x]
        for layer in range(1, layers + 1):
            features.append(_dense_layer(net, features, f"features.denseblock{block}.denselayer{layer}"))
        x = net.concat(features)
        if block < len(_BLOCKS):
            x = _transition(net, x, f"features.transition{block}")
    x = net.relu(net.batch_norm(x, "features.norm5"))
    x = net.flatten(net.global_average_pool(x))
    net.output("logits", net.linear(x, "classifier", 1000))
    return net.model()
