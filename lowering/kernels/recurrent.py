"""Recurrent cells: a loop over time around a few computes, the state in the buffers of the final state.

    before:   h = h0, c = c0
    t / 1:    s = h r^T                                    [B, G * H], a product with the packed weights
              c, h, y[t] = cell(x[t] + s + biases, c)      element by element

Every compute inside has the dim ``t`` of kind ``s``. Its steps are taken in order, from the last one on in the
reverse direction; sequences that have not begun there, or have ended, keep their state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

from mlc.dialects import hlt
from mlc.dialects.hlt.base import shape_of
from mlc.dialects.loop import Dim
from mlc.dialects.loop.affine import Expr, constant
from mlc.errors import UnsupportedError
from mlc.lowering.kernels.activation import Activation, activations
from mlc.lowering.kernels.builder import Buffer, Index, KernelBuilder, Source, Splat, ids, lowers
from mlc.lowering.kernels.contraction import accumulator, sum_of_products
from mlc.lowering.scalar import Scalar

Cell = hlt.LstmOp | hlt.GruOp | hlt.RnnOp
Values = Mapping[str, SSAValue]
Step = Callable[[Scalar, Values], list[SSAValue]]
"""The new states, the output first, from the values of this step by name."""


@dataclass
class Sequence:
    """One direction of a cell over time: ``x: [T, B, G * H]`` (a product with w), states ``[1, B, H]``."""

    builder: KernelBuilder
    op: Cell
    states: dict[str, Buffer]
    """Where the states lie, by name; ``h`` is the output."""

    @staticmethod
    def of(builder: KernelBuilder, op: Cell) -> Sequence:
        """Writes the initial states. Raises UnsupportedError for forms that `legalize` takes apart."""
        if op.w is not None or op.direction == "bidirectional":
            raise UnsupportedError("cells are taken apart before lowering", node=hlt.node_name(op))
        states = {"h": builder.result(op.h)}
        if isinstance(op, hlt.LstmOp):
            states["c"] = builder.result(op.c)
        made = Sequence(builder, op, states)
        for name, buffer in states.items():
            start = getattr(op, f"{name}0")
            source = Splat(0.0, buffer.element) if start is None else builder.source(start)
            index = [constant(0), *ids(made.unit[1:])]
            builder.compute([(source, index)], [(buffer, index)], made.unit[1:], finish=lambda s, v: v)
        return made

    @property
    def hidden(self) -> int:
        """H."""
        return shape_of(self.op.r)[2]

    @property
    def time(self) -> Dim:
        """The dim of the steps."""
        return Dim("t", shape_of(self.op.x)[0], "s")

    @property
    def unit(self) -> list[Dim]:
        """Dims of an element-wise step: ``t``, ``b`` sequence, ``j`` hidden unit."""
        return [self.time, Dim("b", shape_of(self.op.x)[1]), Dim("j", self.hidden)]

    @property
    def place(self) -> Expr:
        """The time that a step is about."""
        t = ids([self.time])[0]
        return t.times(-1).shifted(self.time.extent - 1) if self.op.direction == "reverse" else t

    def product(self, left: Buffer, first: int, gates: int) -> Buffer:
        """``[B, gates * H]``: ``left: [1, B, H]`` times the rows of r from gate ``first`` on."""
        acc = accumulator(left.element)
        t, batch, _ = self.unit
        row, fold = Dim("g", gates * self.hidden), Dim("k", self.hidden, "r")
        b, g, k = ids([batch, row, fold])
        target = self.builder.scratch([batch.extent, row.extent], acc)
        r = (self.builder.source(self.op.r), [constant(0), g.shifted(first * self.hidden), k])
        sum_of_products(self.builder, [(left, [constant(0), b, k]), r], (target, [b, g]), [t, batch, row, fold])
        return target

    def state(self, name: str) -> tuple[Source, Index]:
        """A state's element."""
        return self.states[name], [constant(0), *ids(self.unit[1:])]

    def gate(self, buffer: Buffer, number: int) -> tuple[Source, Index]:
        """The element of a gate in what `product` made."""
        _, b, j = ids(self.unit)
        return buffer, [b, j.shifted(number * self.hidden)]

    def input(self, gate: int) -> tuple[Source, Index]:
        """The element of a gate in x."""
        _, b, j = ids(self.unit)
        return self.builder.source(self.op.x), [self.place, b, j.shifted(gate * self.hidden)]

    def bias(self, gates: int) -> dict[str, tuple[Source, Index]]:
        """``w0 r0 w1 r1 ..``: the biases of every gate."""
        if self.op.b is None:
            return {}
        source, j = self.builder.source(self.op.b), ids(self.unit)[2]
        parts = [("w", 0), ("r", gates)]
        return {
            f"{name}{gate}": (source, [constant(0), j.shifted((start + gate) * self.hidden)])
            for gate in range(gates)
            for name, start in parts
        }

    def elementwise(self, ins: Mapping[str, tuple[Source, Index]], step: Step) -> None:
        """The last part of a step: new states, and the output; sequences past their end stand still."""
        names = list(ins)
        element = self.states["h"].element
        acc = accumulator(element)
        operands = dict(ins)
        if self.op.lengths is not None:
            operands["length"] = (self.builder.source(self.op.lengths), [ids(self.unit)[1]])
        for name in self.states:
            operands.setdefault(name, self.state(name))
        names = list(operands)

        def finish(s: Scalar, *args: SSAValue) -> list[SSAValue]:
            values = {n: a if n == "length" else s.widen(a) for n, a in zip(names, args)}
            following = step(s, values)
            output = following[0]
            if "length" in values:
                active = s.compare("lt", self._time(s), s.cast(values["length"], i64))
                output = s.select(active, output, s.constant(0, acc))
                following = [s.select(active, new, values[n]) for new, n in zip(following, self.states)]
            return [s.cast(v, element) for v in (output, *following)]

        y = (self.builder.result(self.op.y), [self.place, constant(0), *ids(self.unit[1:])])
        states = [(buffer, self.state(name)[1]) for name, buffer in self.states.items()]
        self.builder.compute(list(operands.values()), [y, *states], self.unit, finish=finish)

    def _time(self, s: Scalar) -> SSAValue:
        step = s.index("t", i64)
        return s.sub(s.constant(self.time.extent - 1, i64), step) if self.op.direction == "reverse" else step

    def functions(self) -> list[Activation]:
        """The cell's activation functions."""
        return activations(self.op)


def _sum(s: Scalar, values: Values, *names: str) -> SSAValue:
    """The sum of those values that are there."""
    present = [values[n] for n in names if n in values]
    total = present[0]
    for value in present[1:]:
        total = s.add(total, value)
    return total


@lowers(hlt.LstmOp)
def lower_lstm(builder: KernelBuilder, op: hlt.LstmOp) -> None:
    """Gates i, o, f, c."""
    cell = Sequence.of(builder, op)
    gates = cell.product(cell.states["h"], 0, 4)
    ins: dict[str, tuple[Source, Index]] = {f"s{i}": cell.gate(gates, i) for i in range(4)}
    ins |= {f"x{i}": cell.input(i) for i in range(4)}
    ins |= cell.bias(4)
    if op.p is not None:
        j = ids(cell.unit)[2]
        ins |= {f"p{i}": (builder.source(op.p), [constant(0), j.shifted(i * cell.hidden)]) for i in range(3)}
    f, g, h = cell.functions()

    def gate(s: Scalar, v: Values, number: int, peep: SSAValue | None = None) -> SSAValue:
        total = _sum(s, v, f"s{number}", f"x{number}", f"w{number}", f"r{number}")
        return total if peep is None or f"p{number}" not in v else s.add(total, s.mul(v[f"p{number}"], peep))

    def step(s: Scalar, v: Values) -> list[SSAValue]:
        i = f(s, gate(s, v, 0, v["c"]))
        forget = s.sub(s.constant(1.0, i.type), i) if op.input_forget else f(s, gate(s, v, 2, v["c"]))
        c = s.add(s.mul(forget, v["c"]), s.mul(i, g(s, gate(s, v, 3))))
        return [s.mul(f(s, gate(s, v, 1, c)), h(s, c)), c]

    cell.elementwise(ins, step)


@lowers(hlt.GruOp)
def lower_gru(builder: KernelBuilder, op: hlt.GruOp) -> None:
    """Gates z, r, h. The reset gate applies after the product with r, or before it, which takes a second product."""
    cell = Sequence.of(builder, op)
    f, g = cell.functions()
    linear = op.linear_before_reset
    gates = cell.product(cell.states["h"], 0, 3 if linear else 2)
    both = {f"s{i}": cell.gate(gates, i) for i in range(2)} | {f"x{i}": cell.input(i) for i in range(2)}
    bias = cell.bias(3)

    def reset(s: Scalar, v: Values) -> SSAValue:
        return f(s, _sum(s, v, "s1", "x1", "w1", "r1"))

    if linear:
        last = cell.gate(gates, 2)
    else:
        last = cell.gate(cell.product(_reset_state(cell, both, bias, reset), 2, 1), 0)

    def step(s: Scalar, v: Values) -> list[SSAValue]:
        z = f(s, _sum(s, v, "s0", "x0", "w0", "r0"))
        if linear:
            recurrent = s.mul(reset(s, v), _sum(s, v, "s2", "r2"))
        else:
            recurrent = _sum(s, v, "s2", "r2")
        candidate = g(s, s.add(_sum(s, v, "x2", "w2"), recurrent))
        one = s.constant(1.0, z.type)
        return [s.add(s.mul(s.sub(one, z), candidate), s.mul(z, v["h"]))]

    unused = () if linear else ("s1", "x1", "w1", "r1")
    ins = {n: v for n, v in (both | bias).items() if n not in unused}
    cell.elementwise({**ins, "s2": last, "x2": cell.input(2)}, step)


def _reset_state(
    cell: Sequence,
    gates: Mapping[str, tuple[Source, Index]],
    bias: Mapping[str, tuple[Source, Index]],
    reset: Callable[[Scalar, Values], SSAValue],
) -> Buffer:
    """``[1, B, H]``: the state with the reset gate applied."""
    target = cell.builder.scratch([1, *(d.extent for d in cell.unit[1:])], accumulator(cell.states["h"].element))
    index = [constant(0), *ids(cell.unit[1:])]
    ins = {n: v for n, v in {**gates, **bias}.items() if n[1:] == "1"}
    ins["h"] = cell.state("h")
    names = list(ins)

    def finish(s: Scalar, *args: SSAValue) -> SSAValue:
        values = {n: s.widen(a) for n, a in zip(names, args)}
        return s.mul(reset(s, values), values["h"])

    cell.builder.compute(list(ins.values()), [(target, index)], cell.unit, finish=finish)
    return target


@lowers(hlt.RnnOp)
def lower_rnn(builder: KernelBuilder, op: hlt.RnnOp) -> None:
    cell = Sequence.of(builder, op)
    ins = {"s0": cell.gate(cell.product(cell.states["h"], 0, 1), 0), "x0": cell.input(0)}
    (f,) = cell.functions()
    cell.elementwise(ins | cell.bias(1), lambda s, v: [f(s, _sum(s, v, "s0", "x0", "w0", "r0"))])
