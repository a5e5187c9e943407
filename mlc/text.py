"""The text of IR as mlc reads it."""

from __future__ import annotations

from xdsl.parser import Parser


class TextParser(Parser):
    """xDSL's parser, to which strings with escaped bytes are strings: names out of models hold any character.

    The printer writes each byte beyond ASCII as an escape, and xDSL by itself reads such text as an attribute of bytes.
    """

    def parse_optional_str_literal(self) -> str | None:
        text = super().parse_optional_str_literal()
        if text is not None:
            return text
        start = self.pos
        escaped = self.parse_optional_bytes_literal()
        if escaped is None:
            return None
        try:
            return escaped.decode()
        except UnicodeDecodeError as error:
            self.raise_error(f"this string is no UTF-8: {error.reason} at byte {error.start}", start, self.pos)
