"""A rewrite driver for hlt: rules by operation class, a worklist, no patterns.

A rule is a function of one operation. It returns ``None`` where it does not apply, else what replaces the
operation's results; operations that it builds stay detached, and the driver inserts them. So a rule reads as an
equation::

    @RULES.on(hlt.NegOp)
    def double_negation(op: hlt.NegOp) -> Value | None:
        inner = producer(op.x, hlt.NegOp)
        return inner and inner.x
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, SSAValue
from xdsl.traits import IsTerminator

from mlc.dialects.hlt import Value, blocks_within, captured, node_name
from mlc.errors import InternalError

Rule = Callable[[Any], "Value | Sequence[Value] | None"]
RuleT = TypeVar("RuleT", bound=Rule)

NODE = "hlt.node"
_REWRITES_PER_OPERATION = 64


class Rules:
    """Rewrite rules in the order in which they are tried, by operation class."""

    def __init__(self, *parts: Rules) -> None:
        self._by_class: dict[type[Operation], list[Rule]] = {}
        for part in parts:
            for cls, rules in part._by_class.items():
                self._by_class.setdefault(cls, []).extend(rules)

    def on(self, *classes: type[Operation]) -> Callable[[RuleT], RuleT]:
        """Decorator: the rule is tried on operations of exactly these classes."""

        def register(rule: RuleT) -> RuleT:
            for cls in classes:
                self._by_class.setdefault(cls, []).append(rule)
            return rule

        return register

    def __getitem__(self, cls: type[Operation]) -> Sequence[Rule]:
        return self._by_class.get(cls, ())


def main_block(module: ModuleOp) -> Block | None:
    """The one block of ``@main``, or ``None`` in a module that has no such function."""
    for op in module.ops:
        if isinstance(op, FuncOp) and op.sym_name.data == "main" and op.body.blocks:
            return op.body.block
    return None


def functions(module: ModuleOp) -> list[Block]:
    """The one block of every function that has a body."""
    return [op.body.block for op in module.ops if isinstance(op, FuncOp) and op.body.blocks]


def blocks(module: ModuleOp) -> list[Block]:
    """The blocks of all functions, each followed by those of the control flow in it."""
    return [inner for block in functions(module) for inner in blocks_within(block)]


def rewrite(block: Block, rules: Rules) -> int:
    """Apply ``rules`` until none does; operations without uses go too. Returns how often one applied.

    Operations inside control flow take part. Raises ``InternalError`` when the rules go on and on.
    """
    return _Driver(block, rules).run()


class _Driver:
    def __init__(self, block: Block, rules: Rules) -> None:
        self._rules = rules
        self._work: list[Operation] = [op for inner in blocks_within(block) for op in inner.ops]
        self._work.reverse()
        self._waiting = set(self._work)
        self._limit = _REWRITES_PER_OPERATION * (len(self._work) + 16)

    def run(self) -> int:
        applied = 0
        while self._work:
            op = self._work.pop()
            if op not in self._waiting:
                continue
            self._waiting.discard(op)
            if self._erase_if_dead(op):
                continue
            applied += self._apply(op)
            if applied > self._limit:
                raise InternalError("rewriting does not come to an end", node=node_name(op))
        return applied

    def _apply(self, op: Operation) -> bool:
        for rule in self._rules[type(op)]:
            replacement = rule(op)
            if replacement is not None:
                self._replace(op, replacement)
                return True
        return False

    def _replace(self, op: Operation, replacement: Value | Sequence[Value]) -> None:
        values = replacement if isinstance(replacement, Sequence) else (replacement,)
        news = [SSAValue.get(value) for value in values]
        for value in news:
            self._insert(value, op)
        for old, new in zip(op.results, news, strict=True):
            if old is new or old.type != new.type:
                raise InternalError(f"a rewrite replaces {old.type} by {new.type}", node=node_name(op))
            for use in old.uses:
                self._push(use.operation)
            old.replace_all_uses_with(new)
        self._erase_if_dead(op)

    def _insert(self, value: SSAValue, before: Operation) -> None:
        """Put the detached operations that make ``value`` before ``before``, operands first."""
        op = value.owner
        if not isinstance(op, Operation) or op.parent is not None:
            return
        for operand in (*op.operands, *captured(op)):
            self._insert(operand, before)
        if NODE in before.attributes and NODE not in op.attributes:
            op.attributes[NODE] = before.attributes[NODE]
        block = before.parent
        assert block is not None, "an operation in the worklist stands in a block"
        block.insert_op_before(op, before)
        for inner in op.walk(reverse=True):
            self._push(inner)

    def _erase_if_dead(self, op: Operation) -> bool:
        if any(result.first_use is not None for result in op.results) or op.has_trait(IsTerminator):
            return False
        makers = [operand.owner for operand in (*op.operands, *captured(op))]
        self._waiting.difference_update(op.walk())
        op.detach()
        op.erase()
        for maker in makers:
            if isinstance(maker, Operation):
                self._push(maker)
        return True

    def _push(self, op: Operation) -> None:
        if op not in self._waiting:
            self._waiting.add(op)
            self._work.append(op)


def run_rules(module: ModuleOp, rules: Rules) -> int:
    """`rewrite` on every function of ``module``."""
    return sum(rewrite(block, rules) for block in functions(module))
