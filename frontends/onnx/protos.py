"""What protobuf leaves to us: copying a model without the payloads of its tensors, and checking its text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import EncodeError, Message
from onnx import ModelProto, TensorProto

from mlc.errors import ModelError
from mlc.frontends.onnx import wire
from mlc.frontends.onnx.limits import Limits
from mlc.frontends.onnx.wire import Payload

_HOLDERS: Final = {"GraphProto", "NodeProto", "AttributeProto", "FunctionProto", "TensorProto"}
_DROPPED: Final = "training_info"


def check_text(message: Message) -> None:
    """Raise ``ModelError`` if a string anywhere in the message is not UTF-8.

    Protobuf does not check that of these messages; depending on its version, reading such a field gives bytes or
    raises ``UnicodeDecodeError``.
    """
    for field, value in _fields(message):
        if isinstance(value, Message):
            check_text(value)
        elif field.message_type is not None:
            for item in value:
                check_text(item)
        elif field.type == FieldDescriptor.TYPE_STRING:
            texts = (value,) if isinstance(value, str | bytes) else value
            if not all(isinstance(text, str) for text in texts):
                raise ModelError(f"{field.full_name} is not UTF-8 somewhere in the model")


def _fields(message: Message) -> Sequence[tuple[FieldDescriptor, Any]]:
    try:
        return message.ListFields()
    except UnicodeDecodeError:
        raise ModelError(f"a name in a {type(message).__name__} is not UTF-8") from None


def copy_without_payloads(
    source: ModelProto, target: ModelProto, mark: str, limits: Limits, payloads: list[Payload]
) -> None:
    """Fill the empty ``target`` with what ``wire.strip`` would leave of the serialised ``source``.

    Only one tensor at a time is serialised; its bytes are what the payload refers to, so that later changes
    of ``source`` don't matter.
    """
    _Copy(mark, limits, payloads).message(source, target, 0)


class _Copy:
    def __init__(self, mark: str, limits: Limits, payloads: list[Payload]) -> None:
        self.mark, self.limits, self.payloads = mark, limits, payloads

    def message(self, source: Message, target: Message, depth: int) -> None:
        self.limits.check("nesting", depth // 3, "graphs in graphs: nesting")
        for field, value in source.ListFields():
            if field.name == _DROPPED:
                continue
            if field.message_type is None:
                _copy_scalars(field.name, value, target)
            elif isinstance(value, Message):
                self.child(value, getattr(target, field.name), depth)
            else:
                items = getattr(target, field.name)
                for item in value:
                    self.child(item, items.add(), depth)

    def child(self, source: Message, target: Message, depth: int) -> None:
        if isinstance(source, TensorProto):
            target.MergeFromString(self.tensor(source))
        elif type(source).__name__ in _HOLDERS:
            target.SetInParent()
            self.message(source, target, depth + 1)
        else:
            target.CopyFrom(source)

    def tensor(self, tensor: TensorProto) -> bytes:
        try:
            data = tensor.SerializeToString()
        except (EncodeError, ValueError) as error:
            raise ModelError(f"tensor {tensor.name!r} can't be serialised: {error}") from None
        return wire.strip(data, self.mark, self.limits, self.payloads, "tensor")


def _copy_scalars(name: str, value: Any, target: Message) -> None:
    if isinstance(value, int | float | str | bytes):
        setattr(target, name, value)
    else:
        getattr(target, name).extend(value)
