"""Text that is not trusted, in one line: nothing in it that a terminal or an XML parser acts on."""

from __future__ import annotations

import unicodedata

# control, format (such as direction overrides), half of a surrogate pair, ends of lines and
# paragraphs
_ACTED_ON = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_NO_CHARACTERS = "\ufffe\uffff"  # of no text, and not allowed in XML
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def printable(text: str) -> str:
    """Return `text` in one line, with the number of each character that is acted on."""
    if text.isprintable():
        return text
    return "".join(_shown(c) if _is_acted_on(c) else c for c in text)


def _is_acted_on(character: str) -> bool:
    return unicodedata.category(character) in _ACTED_ON or character in _NO_CHARACTERS


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    if character.isascii():
        return f"\\x{ord(character):02x}"
    return character.encode("ascii", "backslashreplace").decode("ascii")
