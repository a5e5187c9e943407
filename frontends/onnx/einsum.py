"""Einstein sums as contractions, sums and transposes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mlc.frontends.onnx.builder import Builder
from mlc.frontends.onnx.value import Value


@dataclass(frozen=True)
class Term:
    """A tensor and the label of each of its dims."""

    value: Value
    labels: tuple[str, ...]

    def extent(self, label: str) -> int:
        return self.value.shape[self.labels.index(label)]

    def dims(self, labels: Sequence[str]) -> tuple[int, ...]:
        return tuple(self.labels.index(label) for label in labels)


def einsum(b: Builder, equation: str, operands: Sequence[Value]) -> Value:
    """``numpy.einsum``: operands are contracted from left to right. Raises ValueError on a bad equation."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    subscripts = left.split(",")
    if len(subscripts) != len(operands):
        raise ValueError(f"equation {equation!r} has {len(subscripts)} terms for {len(operands)} operands")
    named = [_labels(text, x.rank) for text, x in zip(subscripts, operands)]
    output = _output_labels(right if arrow else None, named)
    terms = [_diagonal(b, Term(x, labels)) for x, labels in zip(operands, named)]
    terms = _squeeze_broadcast(b, terms)
    accumulated = terms[0]
    for i, term in enumerate(terms[1:], start=1):
        later = {*output, *(label for other in terms[i + 1 :] for label in other.labels)}
        accumulated = _contract(b, accumulated, term, later)
    return _arrange(b, _sum_out(b, accumulated, set(output)), output)


def _labels(text: str, rank: int) -> tuple[str, ...]:
    """One label per dim; the dims of an ellipsis are numbered from the right, as they broadcast."""
    before, dots, after = text.partition("...")
    letters = before + after
    if not letters.isalpha() and letters:
        raise ValueError(f"term {text!r} has something else than letters and one ellipsis")
    hidden = rank - len(letters)
    if hidden < 0 or (hidden and not dots):
        raise ValueError(f"term {text!r} does not fit rank {rank}")
    return (*before, *(f"...{i}" for i in reversed(range(hidden))), *after)


def _output_labels(text: str | None, named: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    """The labels of the result; without an arrow, the ellipsis and all letters that appear once, sorted."""
    flat = [label for labels in named for label in labels]
    ellipsis = sorted({label for label in flat if label.startswith("...")}, key=lambda s: -int(s[3:]))
    if text is None:
        return (
            *ellipsis,
            *sorted(label for label in set(flat) if len(label) == 1 and flat.count(label) == 1),
        )
    before, dots, after = text.partition("...")
    output = (*before, *(ellipsis if dots else ()), *after)
    if len(set(output)) != len(output) or not set(output) <= set(flat):
        raise ValueError(f"result term {text!r} repeats a label or has one that no operand has")
    return output


def _diagonal(b: Builder, term: Term) -> Term:
    """Repeated labels of one operand reduced to one: what is off the diagonal is dropped by a sum."""
    value, labels = term.value, list(term.labels)
    while (repeated := next((label for label in labels if labels.count(label) > 1), None)) is not None:
        first = labels.index(repeated)
        second = labels.index(repeated, first + 1)
        if value.shape[first] != value.shape[second]:
            raise ValueError(f"label {repeated!r} has extents {value.shape[first]} and {value.shape[second]}")
        on_diagonal = b.compare("eq", b.iota(value.shape, first), b.iota(value.shape, second))
        value = b.reduce("sum", b.select(on_diagonal, value, 0), (second,))
        del labels[second]
    return Term(value, tuple(labels))


def _squeeze_broadcast(b: Builder, terms: Sequence[Term]) -> list[Term]:
    """Dims of extent 1 dropped where another operand has the same label with a larger extent."""
    extents: dict[str, int] = {}
    for term in terms:
        for label, extent in zip(term.labels, term.value.shape):
            known = extents.setdefault(label, extent)
            if 1 not in (known, extent) and known != extent:
                raise ValueError(f"label {label!r} has extents {known} and {extent}")
            extents[label] = extent if known == 1 else known
    return [_keep_extents(b, term, extents) for term in terms]


def _keep_extents(b: Builder, term: Term, extents: dict[str, int]) -> Term:
    dropped = [i for i, label in enumerate(term.labels) if term.value.shape[i] != extents[label]]
    labels = tuple(label for i, label in enumerate(term.labels) if i not in dropped)
    return Term(b.squeeze(term.value, dropped), labels)


def _sum_out(b: Builder, term: Term, kept: set[str]) -> Term:
    gone = [label for label in term.labels if label not in kept]
    labels = tuple(label for label in term.labels if label in kept)
    return Term(b.reduce("sum", term.value, term.dims(gone)), labels) if gone else term


def _contract(b: Builder, x: Term, y: Term, later: set[str]) -> Term:
    """The product of two terms, summed over labels that nothing needs ``later``."""
    x = _sum_out(b, x, later | set(y.labels))
    y = _sum_out(b, y, later | set(x.labels))
    shared = [label for label in x.labels if label in y.labels]
    batch = [label for label in shared if label in later]
    summed = [label for label in shared if label not in later]
    labels = (
        *batch,
        *(label for label in x.labels if label not in shared),
        *(label for label in y.labels if label not in shared),
    )
    if not summed:
        return Term(b.mul(_spread(b, x, labels), _spread(b, y, labels)), labels)
    value = b.dot_general(
        x.value,
        y.value,
        batch=(x.dims(batch), y.dims(batch)),
        contract=(x.dims(summed), y.dims(summed)),
    )
    return Term(value, labels)


def _spread(b: Builder, term: Term, labels: Sequence[str]) -> Value:
    """The term's value with the dims ``labels``: extent 1 where the term lacks the label."""
    present = [label for label in labels if label in term.labels]
    value = b.transpose(term.value, term.dims(present))
    return b.expand_dims(value, [i for i, label in enumerate(labels) if label not in term.labels])


def _arrange(b: Builder, term: Term, output: Sequence[str]) -> Value:
    return b.transpose(term.value, np.array(term.dims(output), int).tolist())
