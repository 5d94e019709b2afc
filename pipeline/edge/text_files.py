"""Text files as people's editors save them, and names of files as a terminal may print them.

Read are UTF-8, and UTF-16 or UTF-32 that say so by a byte order mark; what is neither is refused in words.
"""

import codecs
from pathlib import Path

from pipeline.errors import DxatrendError

_MARKS = (  # the mark of UTF-16 in this order of bytes is the beginning of that of UTF-32
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_FIRST_SURROGATE_OF_A_BYTE = 0xDC00  # PEP 383
_SURROGATES_OF_BYTES = range(0xDC80, 0xDD00)


class UnreadableTextError(DxatrendError):
    """A file is no text that we read; the sentence goes on after the name of the file, and quotes nothing of it."""


def read_text(path: Path, *, otherwise: str | None = None) -> str:
    r"""The text of a file, its lines ended by ``\n``.

    ``otherwise`` is the encoding of what has no byte order mark and is not UTF-8, if any is to be read.

    Raises:
        UnreadableTextError: it cannot be read, or is no text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableTextError(error.strerror or "cannot be read") from None
    mark, encoding = next(((mark, name) for mark, name in _MARKS if content.startswith(mark)), (b"", "utf-8"))
    if not mark and b"\0" in content:
        raise UnreadableTextError("is not UTF-8 text; UTF-16 is read where the file begins with a byte order mark")
    try:
        text = _decoded(content, otherwise) if otherwise and not mark else content[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, len(mark) + error.start) + 1
        raise UnreadableTextError(f"is not {encoding.upper()} text in line {line}") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(content: bytes, otherwise: str) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode(otherwise)


def printable(name: object) -> str:
    """The name of a file with whatever cannot be printed written as an escape: bytes of no text, controls, newlines."""
    return "".join(one if one.isprintable() else _escaped(one) for one in str(name))


def _escaped(character: str) -> str:
    if ord(character) in _SURROGATES_OF_BYTES:
        return f"\\x{ord(character) - _FIRST_SURROGATE_OF_A_BYTE:02x}"
    return character.encode("unicode_escape").decode("ascii")
