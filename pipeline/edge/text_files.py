"""Read text files in the encodings that editors save them in, and escape text for a terminal, TOML and spreadsheets.

UTF-8 is read, and UTF-16 or UTF-32 with a byte order mark; anything else is refused with a reason.
"""

import codecs
from pathlib import Path

from pipeline.errors import DxatrendError

_MARKS = (  # the mark of UTF-16-LE is the beginning of that of UTF-32-LE
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)

_FIRST_SURROGATE_OF_A_BYTE = 0xDC00  # PEP 383
_SURROGATES_OF_BYTES = range(0xDC80, 0xDD00)

_BEGINS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class UnreadableTextError(DxatrendError):
    """A file is not readable text; the message follows the name of the file, and quotes nothing of its content."""


def read_text(path: Path, *, otherwise: str | None = None) -> str:
    r"""Return the text of a file, with ``\n`` as line end.

    ``otherwise`` is the encoding of a file without a byte order mark that is not UTF-8, if such files are accepted.

    Raises:
        UnreadableTextError: it cannot be read, or is not text.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UnreadableTextError(error.strerror or "cannot be read") from None
    return decode_text(content, otherwise=otherwise)


def decode_text(content: bytes, *, otherwise: str | None = None) -> str:
    r"""Return the text of a file's content, as ``read_text`` does.

    Raises:
        UnreadableTextError: it is not text.
    """
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
    """Return a file name with escapes for what cannot be printed: undecodable bytes, controls, newlines."""
    return "".join(one if one.isprintable() else _escaped(one) for one in str(name))


def toml_string(text: str) -> str:
    """Return a text as a TOML basic string, whatever is in it."""
    escaped = "".join(
        f"\\{one}" if one in '\\"' else one if one.isprintable() else f"\\U{ord(one):08x}" for one in text
    )
    return f'"{escaped}"'


def spreadsheet_text(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula when it opens a CSV file (OWASP, CSV injection)."""
    return f"'{text}" if text.startswith(_BEGINS_FORMULA) else text


def _escaped(character: str) -> str:
    if ord(character) in _SURROGATES_OF_BYTES:
        return f"\\x{ord(character) - _FIRST_SURROGATE_OF_A_BYTE:02x}"
    return character.encode("unicode_escape").decode("ascii")
