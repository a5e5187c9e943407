"""Recurrent cells over a whole sequence: time major, ONNX gate order."""

from __future__ import annotations

from collections.abc import Sequence

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue
from xdsl.irdl import operand_def, opt_operand_def, result_def

from mlc.dialects.hlt.base import OPTIONAL_OPERANDS, TENSOR, HltOp, Tensor, Value, hlt_op, tensor
from mlc.dialects.hlt.dtypes import is_float, is_integer, tensor_type
from mlc.dialects.hlt.elementwise import require, same_element_type
from mlc.dialects.hlt.fields import Bool, Enum, Floats, OptionalFloat, Strings, fail

ACTIVATIONS: dict[str, tuple[float, float]] = {
    "Affine": (1.0, 0.0),
    "Elu": (1.0, 0.0),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01, 0.0),
    "Relu": (0.0, 0.0),
    "ScaledTanh": (1.0, 1.0),
    "Sigmoid": (0.0, 0.0),
    "Softplus": (0.0, 0.0),
    "Softsign": (0.0, 0.0),
    "Tanh": (0.0, 0.0),
    "ThresholdedRelu": (1.0, 0.0),
}
"""Activation functions of the cells by their ONNX names, with the default alpha and beta (0 where unused)."""


class RecurrentOp(HltOp):
    """Base of the cells. T time steps, B sequences, I inputs, H hidden units, D directions.

    ``x: [T, B, I]``, ``w: [D, G * H, I]``, ``r: [D, G * H, H]``, ``lengths: [B]`` (steps of each sequence;
    later ones yield 0), ``h0: [D, B, H]``. The backward direction reads each sequence from its own end.
    Without ``w``, ``x: [T, B, D * G * H]`` is the product with it already.

    ``activations`` names the functions of each direction in turn. ``activation_alpha`` and
    ``activation_beta`` have one parameter per function, or are empty for the defaults. ``clip`` bounds what
    goes into the functions to ``[-clip, clip]``.
    """

    irdl_options = OPTIONAL_OPERANDS

    direction = Enum("forward", "reverse", "bidirectional")
    activations = Strings(*ACTIVATIONS)
    activation_alpha = Floats()
    activation_beta = Floats()
    clip = OptionalFloat()

    def infer_hidden(self, gates: int, functions: int) -> tuple[Tensor, int, int]:
        """Checks what all cells have in common; returns x, D and H.

        [recurrent_rank] x and r (and w) have rank 3; [recurrent_shape]; [recurrent_directions]; [activation_count];
        [recurrent_lengths] integers; [float_element_type], [same_element_type].
        """
        x, r = (tensor(getattr(self, name)) for name in ("x", "r"))
        require(self.name, is_float, x)
        same_element_type(self.name, x, r)
        if (x.rank, r.rank) != (3, 3):
            raise fail("recurrent_rank", f"x and r have ranks {x.rank} and {r.rank}; both must be 3")
        directions, hidden = r.shape[0], r.shape[2]
        expected = directions_of(self.direction)
        if directions != expected:
            raise fail("recurrent_directions", f"r has {directions} directions, must have {expected}")
        projected = not self.check_operand(x, "w", (directions, gates * hidden, x.shape[2]))
        if projected and x.shape[2] != directions * gates * hidden:
            raise fail("recurrent_shape", f"x has {x.shape[2]} products, must have {directions * gates * hidden}")
        self.check_operand(x, "r", (directions, gates * hidden, hidden))
        self.check_operand(x, "h0", (directions, x.shape[1], hidden))
        self._check_lengths(x, "lengths")
        self._check_activations(functions * directions)
        return x, directions, hidden

    def check_operand(self, x: Tensor, name: str, shape: tuple[int, ...]) -> bool:
        """[recurrent_shape] and [same_element_type] of an operand; returns whether it is present."""
        value: SSAValue | None = getattr(self, name)
        if value is None:
            return False
        operand = tensor(value)
        same_element_type(self.name, x, operand)
        if operand.shape != shape:
            raise fail("recurrent_shape", f"{name} has shape {operand.shape}, must have {shape}")
        return True

    def _check_lengths(self, x: Tensor, name: str) -> None:
        value: SSAValue | None = getattr(self, name)
        if value is None:
            return
        lengths = tensor(value)
        if not is_integer(lengths.element) or lengths.shape != x.shape[1:2]:
            raise fail("recurrent_lengths", f"lengths are {lengths.type}, must be {x.shape[1]} integers")

    def _check_activations(self, count: int) -> None:
        for name in ("activations", "activation_alpha", "activation_beta"):
            values = getattr(self, name)
            if len(values) != count and (values or name == "activations"):
                raise fail("activation_count", f"{name} has {len(values)} entries, must have {count}")


def directions_of(direction: str) -> int:
    """How many directions a cell has."""
    return 2 if direction == "bidirectional" else 1


@hlt_op
class LstmOp(RecurrentOp):
    """Long short-term memory; gates in the order i, o, f, c.

    ``b: [D, 8 * H]`` is the bias of w, then of r; ``c0: [D, B, H]``; ``p: [D, 3 * H]`` are peepholes of i, o,
    f. ``input_forget`` couples the gates: f = 1 - i. Default activations: Sigmoid, Tanh, Tanh. Results: ``y:
    [T, D, B, H]``, and after the last step ``h`` and ``c: [D, B, H]``.

    ```
    %3, %4, %5 = hlt.lstm %0, w = %1, %2 <direction = "forward", activations = ["Sigmoid", "Tanh", "Tanh"],
        activation_alpha = [], activation_beta = [], input_forget = false>
        : (tensor<5x1x3xf32>, tensor<1x16x3xf32>, tensor<1x16x4xf32>)
        -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>, tensor<1x1x4xf32>)
    ```
    """

    name = "hlt.lstm"

    x = operand_def(TENSOR)
    w = opt_operand_def(TENSOR)
    r = operand_def(TENSOR)
    b = opt_operand_def(TENSOR)
    lengths = opt_operand_def(TENSOR)
    h0 = opt_operand_def(TENSOR)
    c0 = opt_operand_def(TENSOR)
    p = opt_operand_def(TENSOR)
    input_forget = Bool()
    y = result_def(TENSOR)
    h = result_def(TENSOR)
    c = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        w: Value | None,
        r: Value,
        b: Value | None = None,
        lengths: Value | None = None,
        h0: Value | None = None,
        c0: Value | None = None,
        p: Value | None = None,
        *,
        direction: str = "forward",
        activations: Sequence[str] | None = None,
        activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (),
        clip: float | None = None,
        input_forget: bool = False,
    ) -> None:
        default = ("Sigmoid", "Tanh", "Tanh") * directions_of(direction)
        super().__init__(
            (x, w, r, b, lengths, h0, c0, p),
            direction=direction,
            activations=default if activations is None else tuple(activations),
            activation_alpha=tuple(activation_alpha),
            activation_beta=tuple(activation_beta),
            clip=clip,
            input_forget=input_forget,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """As ``infer_hidden``."""
        x, directions, hidden = self.infer_hidden(gates=4, functions=3)
        steps, batch, _ = x.shape
        self.check_operand(x, "b", (directions, 8 * hidden))
        self.check_operand(x, "c0", (directions, batch, hidden))
        self.check_operand(x, "p", (directions, 3 * hidden))
        last = tensor_type((directions, batch, hidden), x.element)
        return (tensor_type((steps, directions, batch, hidden), x.element), last, last)


@hlt_op
class GruOp(RecurrentOp):
    """Gated recurrent unit; gates in the order z, r, h.

    ``b: [D, 6 * H]`` is the bias of w, then of r. ``linear_before_reset`` applies the reset gate after the
    product with r instead of before. Default activations: Sigmoid, Tanh. Results: ``y: [T, D, B, H]``, and
    after the last step ``h: [D, B, H]``.

    ```
    %3, %4 = hlt.gru %0, w = %1, %2 <direction = "forward", activations = ["Sigmoid", "Tanh"],
        activation_alpha = [], activation_beta = [], linear_before_reset = false>
        : (tensor<5x1x3xf32>, tensor<1x12x3xf32>, tensor<1x12x4xf32>)
        -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
    ```
    """

    name = "hlt.gru"

    x = operand_def(TENSOR)
    w = opt_operand_def(TENSOR)
    r = operand_def(TENSOR)
    b = opt_operand_def(TENSOR)
    lengths = opt_operand_def(TENSOR)
    h0 = opt_operand_def(TENSOR)
    linear_before_reset = Bool()
    y = result_def(TENSOR)
    h = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        w: Value | None,
        r: Value,
        b: Value | None = None,
        lengths: Value | None = None,
        h0: Value | None = None,
        *,
        direction: str = "forward",
        activations: Sequence[str] | None = None,
        activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (),
        clip: float | None = None,
        linear_before_reset: bool = False,
    ) -> None:
        default = ("Sigmoid", "Tanh") * directions_of(direction)
        super().__init__(
            (x, w, r, b, lengths, h0),
            direction=direction,
            activations=default if activations is None else tuple(activations),
            activation_alpha=tuple(activation_alpha),
            activation_beta=tuple(activation_beta),
            clip=clip,
            linear_before_reset=linear_before_reset,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """As ``infer_hidden``."""
        x, directions, hidden = self.infer_hidden(gates=3, functions=2)
        steps, batch, _ = x.shape
        self.check_operand(x, "b", (directions, 6 * hidden))
        last = tensor_type((directions, batch, hidden), x.element)
        return (tensor_type((steps, directions, batch, hidden), x.element), last)


@hlt_op
class RnnOp(RecurrentOp):
    """Plain recurrent cell: h = f(x w^T + h r^T + b).

    ``b: [D, 2 * H]`` is the bias of w, then of r. Default activation: Tanh.
    Results: ``y: [T, D, B, H]``, and after the last step ``h: [D, B, H]``.

    ```
    %3, %4 = hlt.rnn %0, w = %1, %2 <direction = "forward", activations = ["Tanh"], activation_alpha = [],
        activation_beta = []> : (tensor<5x1x3xf32>, tensor<1x4x3xf32>, tensor<1x4x4xf32>)
        -> (tensor<5x1x1x4xf32>, tensor<1x1x4xf32>)
    ```
    """

    name = "hlt.rnn"

    x = operand_def(TENSOR)
    w = opt_operand_def(TENSOR)
    r = operand_def(TENSOR)
    b = opt_operand_def(TENSOR)
    lengths = opt_operand_def(TENSOR)
    h0 = opt_operand_def(TENSOR)
    y = result_def(TENSOR)
    h = result_def(TENSOR)

    def __init__(
        self,
        x: Value,
        w: Value | None,
        r: Value,
        b: Value | None = None,
        lengths: Value | None = None,
        h0: Value | None = None,
        *,
        direction: str = "forward",
        activations: Sequence[str] | None = None,
        activation_alpha: Sequence[float] = (),
        activation_beta: Sequence[float] = (),
        clip: float | None = None,
    ) -> None:
        default = ("Tanh",) * directions_of(direction)
        super().__init__(
            (x, w, r, b, lengths, h0),
            direction=direction,
            activations=default if activations is None else tuple(activations),
            activation_alpha=tuple(activation_alpha),
            activation_beta=tuple(activation_beta),
            clip=clip,
        )

    def infer(self) -> tuple[TensorType, ...]:
        """As ``infer_hidden``."""
        x, directions, hidden = self.infer_hidden(gates=1, functions=1)
        steps, batch, _ = x.shape
        self.check_operand(x, "b", (directions, 2 * hidden))
        last = tensor_type((directions, batch, hidden), x.element)
        return (tensor_type((steps, directions, batch, hidden), x.element), last)
