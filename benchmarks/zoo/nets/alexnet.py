"""AlexNet in its one-column form (Krizhevsky 2014, "One weird trick")."""

import onnx

from benchmarks.zoo.builder import Net

# Channels, kernel, stride, padding of each convolution, and whether a pooling follows.
_LAYERS = (
    (64, 11, 4, 2, True),
    (192, 5, 1, 2, True),
    (384, 3, 1, 1, False),
    (256, 3, 1, 1, False),
    (256, 3, 1, 1, True),
)


def alexnet(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("alexnet", seed)
    x = net.input("input", (1, 3, 224, 224))
    layer = 0
    for channels, kernel, stride, padding, pooled in _LAYERS:
        x = net.relu(net.conv(x, f"features.{layer}", channels, kernel, stride=stride, padding=padding, bias=True))
        layer += 2
        if pooled:
            x = net.max_pool(x, 3, 2)
            layer += 1
    x = net.flatten(x)
    x = net.relu(net.linear(x, "classifier.1", 4096))
    x = net.relu(net.linear(x, "classifier.4", 4096))
    net.output("logits", net.linear(x, "classifier.6", 1000))
    return net.model()
