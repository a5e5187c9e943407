"""VGG-16 without batch normalisation (Simonyan and Zisserman 2014, configuration D)."""

import onnx

from benchmarks.zoo.builder import Net

# Channels of the convolutions between two poolings.
_BLOCKS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))


def vgg16(seed: int) -> onnx.ModelProto:
    """Input [1, 3, 224, 224], output logits [1, 1000]."""
    net = Net("vgg16", seed)
    x = net.input("input", (1, 3, 224, 224))
    layer = 0
    for block in _BLOCKS:
        for channels in block:
            x = net.relu(net.conv(x, f"features.{layer}", channels, 3, padding=1, bias=True))
            layer += 2
        x = net.max_pool(x, 2, 2)
        layer += 1
    # The adaptive pooling to 7x7 is this no-op at 224x224.
    x = net.flatten(net.average_pool(x, 1, 1))
    x = net.relu(net.linear(x, "classifier.0", 4096))
    x = net.relu(net.linear(x, "classifier.3", 4096))
    net.output("logits", net.linear(x, "classifier.6", 1000))
    return net.model()
