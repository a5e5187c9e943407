"""A two-layer LSTM (Hochreiter and Schmidhuber 1997) with a linear head on the last step."""

import numpy as np
import onnx

from benchmarks.zoo import moments
from benchmarks.zoo.builder import Net, Tensor

_STEPS, _BATCH, _INPUT, _HIDDEN, _CLASSES = 64, 1, 256, 512, 128


def _lstm(net: Net, x: Tensor, name: str) -> Tensor:
    """One forward layer: `x: [T, B, I]` to [T, B, H], with zero initial state as PyTorch exports it."""
    features = x.shape[2]
    shapes = {"weight": (1, 4 * _HIDDEN, features), "recurrence": (1, 4 * _HIDDEN, _HIDDEN), "bias": (1, 8 * _HIDDEN)}
    std = {"weight": features**-0.5, "recurrence": _HIDDEN**-0.5, "bias": 0.1}
    weights = [
        net.constant(f"{name}.{key}", net.random(f"{name}.{key}", shape, std=std[key])) for key, shape in shapes.items()
    ]
    zeros = np.zeros((1, _BATCH, _HIDDEN), np.float32)
    states = [net.constant(f"{name}.initial_{s}", zeros) for s in ("h", "c")]
    y, _, _ = net.nodes("LSTM", [x.name, *weights, "", *states], 3, name, hidden_size=_HIDDEN)
    axis = net.constant(f"{name}.direction", np.array([1], np.int64))
    shape = (_STEPS, _BATCH, _HIDDEN)
    # h = o * tanh(c): a sigmoid near 1/2 times a value of about unit size.
    stats = moments.constant(_BATCH, 0.0, 0.1)
    return net.apply("Squeeze", [y, axis], shape, stats)


def lstm(seed: int) -> onnx.ModelProto:
    """Input [64, 1, 256] (time, batch, features), output logits [1, 128]."""
    net = Net("lstm", seed)
    x = net.input("input", (_STEPS, _BATCH, _INPUT))
    x = _lstm(net, _lstm(net, x, "lstm.0"), "lstm.1")
    last = net.constant("last", np.array(-1, np.int64))
    x = net.apply("Gather", [x, last], (_BATCH, _HIDDEN), moments.constant(_HIDDEN, 0.0, 0.1), axis=0)
    net.output("logits", net.linear(x, "fc", _CLASSES))
    return net.model()
