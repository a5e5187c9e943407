"""Control flow: ``hlt.if`` and ``hlt.loop``. Their regions use values from outside as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from xdsl.dialects.builtin import IntegerAttr, i64
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue
from xdsl.irdl import (
    AttrSizedOperandSegments,
    IRDLOperation,
    irdl_op_definition,
    operand_def,
    opt_operand_def,
    opt_prop_def,
    region_def,
    traits_def,
    var_operand_def,
    var_result_def,
)
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.traits import Pure

from mlc.dialects.hlt.base import SEGMENTS, TENSOR, HltOp, Tensor, Value, segment_sizes, tensor, tensor_of
from mlc.dialects.hlt.dtypes import i1, tensor_type
from mlc.dialects.hlt.external import CallCOp
from mlc.dialects.hlt.fields import fail
from mlc.dialects.hlt.fusion import FusionOp, YieldOp, print_capture, same_types, type_list

TRUTH = Tensor((), i1)
COUNT = Tensor((), i64)
NO_LIMIT = (1 << 63) - 1
"""More iterations than any loop runs."""


class ControlOp(IRDLOperation):
    """Base of operations whose regions run once, several times or not at all.

    A region sees the values around it; `captured` lists those that it uses.
    """

    traits = traits_def(Pure())
    outputs = var_result_def(TENSOR)

    def yields(self) -> list[YieldOp]:
        """The ``hlt.yield`` at the end of each region."""
        return [yield_of(region.block) for region in self.regions]

    def check_bodies(self) -> None:
        """[control_yield] regions end with hlt.yield; [control_body] only hlt operations inside."""
        for region in self.regions:
            yield_of(region.block)
            for op in region.block.ops:
                if not isinstance(op, HltOp | CallCOp | ControlOp | FusionOp | YieldOp):
                    raise fail("control_body", f"{op.name} can't stand in {self.name}")


def yield_of(block: Block) -> YieldOp:
    """The terminator of a region's block; raises VerifyException [control_yield] when it is another operation."""
    last = block.last_op
    if not isinstance(last, YieldOp):
        raise fail("control_yield", "a region does not end with hlt.yield")
    return last


@irdl_op_definition
class IfOp(ControlOp):
    """The results of one region or of the other.

    ```
    %2 = hlt.if %0 -> (tensor<2xf32>) {
      hlt.yield %1 : tensor<2xf32>
    } else {
      %3 = hlt.neg %1 : tensor<2xf32>
      hlt.yield %3 : tensor<2xf32>
    }
    ```
    """

    name = "hlt.if"

    condition = operand_def(TENSOR)
    on_true = region_def("single_block")
    on_false = region_def("single_block")

    def __init__(self, condition: Value, on_true: Block, on_false: Block) -> None:
        """Both blocks end with a ``YieldOp`` of the results."""
        super().__init__(
            operands=[SSAValue.get(condition)],
            result_types=[yield_of(on_true).operand_types],
            regions=[Region(on_true), Region(on_false)],
        )

    def verify_(self) -> None:
        """[if_condition] one truth value; [if_results] both regions yield the results."""
        self.check_bodies()
        if tensor(self.condition) != TRUTH:
            raise fail("if_condition", f"the condition is {self.condition.type}, must be {TRUTH.type}")
        for terminator in self.yields():
            if not same_types(terminator.operand_types, self.result_types):
                found, wanted = type_list(terminator.operand_types), type_list(self.result_types)
                raise fail("if_results", f"{found} is yielded for results {wanted}")

    def print(self, printer: Printer) -> None:
        """Prints ``%condition -> (types) {..} else {..}`` and the attributes."""
        printer.print_string(" ")
        printer.print_operand(self.condition)
        _print_results(printer, self)
        printer.print_region(self.on_true, print_entry_block_args=False, print_empty_block=False)
        printer.print_string(" else ")
        printer.print_region(self.on_false, print_entry_block_args=False, print_empty_block=False)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> IfOp:
        """Parses what ``print`` prints."""
        condition = parser.resolve_operand(parser.parse_unresolved_operand(), TRUTH.type)
        types = _parse_results(parser)
        on_true = parser.parse_region()
        parser.parse_keyword("else")
        on_false = parser.parse_region()
        attributes = parser.parse_optional_attr_dict()
        return cls.create(operands=[condition], result_types=types, regions=[on_true, on_false], attributes=attributes)


@irdl_op_definition
class LoopOp(ControlOp):
    """Runs its body for the iterations 0, 1, ..: less than ``limit``, less than ``trips``, and while ``keep`` holds.

    Each of the three may be absent, but not all. The body's arguments are the iteration's number, the carried values,
    which are ``inits`` at first, and slice number i along dim 0, without that dim, of each of ``slices``. It yields
    the next ``keep`` if there is one, the next carried values, and slice number i of each stacked result. The results
    are the carried values at the end and the stacked results, ``limit`` slices of which those of iterations that did
    not run are 0.

    ```
    %2, %3 = hlt.loop %i limit 4 trips %0 while %1 carry(%s = %a : tensor<2xf32>) each(%x = %b : tensor<4x2xf32>)
        -> (tensor<2xf32>, tensor<4x2xf32>) {
      %4 = hlt.add %s, %x : tensor<2xf32>
      hlt.yield %1, %4, %4 : tensor<i1>, tensor<2xf32>, tensor<2xf32>
    }
    ```
    """

    name = "hlt.loop"

    trips = opt_operand_def(TENSOR)
    keep = opt_operand_def(TENSOR)
    inits = var_operand_def(TENSOR)
    slices = var_operand_def(TENSOR)
    limit_attr = opt_prop_def(IntegerAttr, prop_name="limit")
    body = region_def("single_block")
    irdl_options = (AttrSizedOperandSegments(as_property=True),)

    def __init__(
        self,
        body: Block,
        *,
        limit: int | None = None,
        trips: Value | None = None,
        keep: Value | None = None,
        inits: Sequence[Value] = (),
        slices: Sequence[Value] = (),
    ) -> None:
        """``body`` has the arguments and yields what the operation's docstring says."""
        yielded = yield_of(body).operand_types[keep is not None :]
        stacked = [_stacked(type_, limit) for type_ in yielded[len(inits) :]]
        optional = [[SSAValue.get(value)] if value is not None else [] for value in (trips, keep)]
        several = [[SSAValue.get(value) for value in values] for values in (inits, slices)]
        super().__init__(
            operands=[*optional, *several],
            result_types=[[*(SSAValue.get(value).type for value in inits), *stacked]],
            properties={} if limit is None else {"limit": IntegerAttr(limit, i64)},
            regions=[Region(body)],
        )

    @property
    def limit(self) -> int | None:
        """The most iterations, where that is known."""
        return None if self.limit_attr is None else self.limit_attr.value.data

    @property
    def index(self) -> BlockArgument:
        """The iteration's number inside the body."""
        return self.body.block.args[0]

    @property
    def states(self) -> Sequence[BlockArgument]:
        """The carried values inside the body."""
        return self.body.block.args[1 : 1 + len(self.inits)]

    @property
    def parts(self) -> Sequence[BlockArgument]:
        """The slices inside the body."""
        return self.body.block.args[1 + len(self.inits) :]

    @property
    def next_parts(self) -> Sequence[SSAValue]:
        """What the body yields for the stacked results."""
        return yield_of(self.body.block).values[int(self.keep is not None) + len(self.inits) :]

    @property
    def may_end_early(self) -> bool:
        """Whether fewer than ``limit`` iterations may run."""
        return self.limit is None or self.trips is not None or self.keep is not None

    def verify_(self) -> None:
        """[loop_bound], [loop_trips], [loop_keep], [loop_slices], [loop_arguments], [loop_yield], [loop_results]."""
        self.check_bodies()
        self._check_bounds()
        wanted = [COUNT.type, *(v.type for v in self.inits), *(_part(v.type) for v in self.slices)]
        arguments = self.body.block.arg_types
        if not same_types(arguments, wanted):
            raise fail("loop_arguments", f"the body takes {type_list(arguments)}, must take {type_list(wanted)}")
        yielded = yield_of(self.body.block).operand_types
        first = [TRUTH.type] if self.keep is not None else []
        states = [*first, *(v.type for v in self.inits)]
        if not same_types(yielded[: len(states)], states):
            raise fail("loop_yield", f"{type_list(yielded)} is yielded, must start with {type_list(states)}")
        results = [*(v.type for v in self.inits), *(_stacked(t, self.limit) for t in yielded[len(states) :])]
        if not same_types(self.result_types, results):
            raise fail("loop_results", f"results {type_list(self.result_types)} of what makes {type_list(results)}")

    def _check_bounds(self) -> None:
        if self.limit is None and self.trips is None and self.keep is None:
            raise fail("loop_bound", "nothing ends the loop")
        if self.limit is not None and self.limit < 0:
            raise fail("loop_bound", f"the limit is {self.limit}")
        if self.trips is not None and tensor(self.trips) != COUNT:
            raise fail("loop_trips", f"the trip count is {self.trips.type}, must be {COUNT.type}")
        if self.keep is not None and tensor(self.keep) != TRUTH:
            raise fail("loop_keep", f"the condition is {self.keep.type}, must be {TRUTH.type}")
        for value in self.slices:
            if not tensor(value).rank or tensor(value).shape[0] != self.limit:
                raise fail("loop_slices", f"{value.type} does not have {self.limit} slices, the loop's limit")

    def print(self, printer: Printer) -> None:
        """Prints the body's arguments with what they stand for, the result types, the body and the attributes."""
        printer.print_string(" ")
        printer.print_ssa_value(self.index)
        if self.limit is not None:
            printer.print_string(f" limit {self.limit}")
        for keyword, value in (("trips", self.trips), ("while", self.keep)):
            if value is not None:
                printer.print_string(f" {keyword} ")
                printer.print_operand(value)
        _print_captures(printer, "carry", self.states, self.inits)
        _print_captures(printer, "each", self.parts, self.slices)
        _print_results(printer, self)
        printer.print_region(self.body, print_entry_block_args=False, print_empty_block=False)
        printer.print_op_attributes(self.attributes)

    @classmethod
    def parse(cls, parser: Parser) -> LoopOp:
        """Parses what ``print`` prints."""
        index = parser.parse_argument(expect_type=False).resolve(COUNT.type)
        limit = parser.parse_integer(allow_boolean=False) if parser.parse_optional_keyword("limit") else None
        trips = _parse_bound(parser, "trips", COUNT)
        keep = _parse_bound(parser, "while", TRUTH)
        inits = _parse_captures(parser, "carry", lambda type_: type_)
        slices = _parse_captures(parser, "each", _part)
        types = _parse_results(parser)
        operands = [operand for _, operand in (*inits, *slices)]
        body = parser.parse_region([index, *(argument for argument, _ in (*inits, *slices))])
        sizes = (len(trips), len(keep), len(inits), len(slices))
        properties: dict[str, Attribute] = {SEGMENTS: segment_sizes(sizes)}
        if limit is not None:
            properties["limit"] = IntegerAttr(limit, i64)
        return cls.create(
            operands=[*trips, *keep, *operands],
            result_types=types,
            properties=properties,
            regions=[body],
            attributes=parser.parse_optional_attr_dict(),
        )


def _stacked(part: Attribute, limit: int | None) -> Attribute:
    """The type of a stacked result of such parts."""
    if limit is None:
        raise fail("loop_bound", "stacked results need a limit")
    found = tensor_of(part)
    return tensor_type((limit, *found.shape), found.element)


def _part(whole: Attribute) -> Attribute:
    """The type of a slice along dim 0 of a tensor of type ``whole``."""
    found = tensor_of(whole)
    return tensor_type(found.shape[1:], found.element)


def captured(op: Operation) -> list[SSAValue]:
    """The values from outside that the regions of ``op`` use, each once, in order of first use."""
    if not isinstance(op, ControlOp):
        return []
    inside: set[SSAValue] = set()
    found: dict[SSAValue, None] = {}
    for region in op.regions:
        for inner in region.walk():
            inside.update(inner.results)
            for nested in inner.regions:
                inside.update(nested.block.args)
        inside.update(region.block.args)
    for region in op.regions:
        for inner in region.walk():
            found.update((operand, None) for operand in inner.operands if operand not in inside)
    return list(found)


def blocks_within(block: Block) -> Iterator[Block]:
    """``block`` and the blocks of control flow inside it, each after the one around it."""
    yield block
    for op in block.ops:
        if isinstance(op, ControlOp):
            for region in op.regions:
                yield from blocks_within(region.block)


def _print_results(printer: Printer, op: Operation) -> None:
    printer.print_string(" -> ")
    with printer.in_parens():
        printer.print_list(op.result_types, printer.print_attribute)
    printer.print_string(" ")


def _parse_results(parser: Parser) -> list[Attribute]:
    parser.parse_punctuation("->")
    return list(parser.parse_comma_separated_list(parser.Delimiter.PAREN, parser.parse_type))


def _print_captures(
    printer: Printer, keyword: str, arguments: Sequence[BlockArgument], operands: Sequence[SSAValue]
) -> None:
    if not operands:
        return
    printer.print_string(f" {keyword}(")
    printer.print_list(tuple(zip(arguments, operands, strict=True)), lambda pair: print_capture(printer, *pair))
    printer.print_string(")")


def _parse_captures(
    parser: Parser, keyword: str, inside: Callable[[Attribute], Attribute]
) -> list[tuple[Parser.Argument, SSAValue]]:
    """Arguments, of the type that is ``inside`` for their operand's, and the operands."""

    def parse_one() -> tuple[Parser.Argument, SSAValue]:
        argument = parser.parse_argument(expect_type=False)
        parser.parse_punctuation("=")
        operand = parser.parse_unresolved_operand()
        parser.parse_punctuation(":")
        type_ = parser.parse_type()
        return argument.resolve(inside(type_)), parser.resolve_operand(operand, type_)

    if parser.parse_optional_keyword(keyword) is None:
        return []
    return list(parser.parse_comma_separated_list(parser.Delimiter.PAREN, parse_one))


def _parse_bound(parser: Parser, keyword: str, expected: Tensor) -> list[SSAValue]:
    if parser.parse_optional_keyword(keyword) is None:
        return []
    return [parser.resolve_operand(parser.parse_unresolved_operand(), expected.type)]
