"""``#mlc.weight<"name", "sha256">``: a reference to a tensor that is kept beside the IR."""

from __future__ import annotations

from xdsl.dialects.builtin import StringAttr
from xdsl.ir import Dialect, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

_HEX_DIGITS = frozenset("0123456789abcdef")


@irdl_attr_definition
class WeightAttr(ParametrizedAttribute):
    """A tensor in the weight store: its name there and the lower-case hexadecimal SHA-256 of its bytes.

    Its type is the result type of the operation that holds it. The digest makes equal references equal
    tensors, so that two programs with the same text compute the same function.

    ```
    #mlc.weight<"conv1.weight", "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08">
    ```
    """

    name = "mlc.weight"
    key: StringAttr
    digest: StringAttr

    def __init__(self, key: str | StringAttr, digest: str | StringAttr) -> None:
        super().__init__(
            StringAttr(key) if isinstance(key, str) else key,
            StringAttr(digest) if isinstance(digest, str) else digest,
        )

    def verify(self) -> None:
        """Raises ``VerifyException`` unless the digest is 64 lower-case hexadecimal digits."""
        if len(self.digest.data) != 64 or not _HEX_DIGITS.issuperset(self.digest.data):
            raise VerifyException(f"[weight_digest] {self.digest.data!r} is no SHA-256 in lower-case hexadecimal")

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> tuple[StringAttr, StringAttr]:
        """Parses ``<"name", "sha256">``."""
        with parser.in_angle_brackets():
            key = parser.parse_str_literal()
            parser.parse_punctuation(",")
            return StringAttr(key), StringAttr(parser.parse_str_literal())

    def print_parameters(self, printer: Printer) -> None:
        """Prints ``<"name", "sha256">``."""
        with printer.in_angle_brackets():
            printer.print_string_literal(self.key.data)
            printer.print_string(", ")
            printer.print_string_literal(self.digest.data)


MLC = Dialect("mlc", [], [WeightAttr])
