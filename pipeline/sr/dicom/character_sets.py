"""Decode text by Specific Character Set (0008,0005), also where it is misspelt, wrong or missing (PS3.5 6.1).

Bytes that cannot be decoded become U+FFFD, never an error: ids, codes and numbers are ASCII in every character set.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

from pydicom.charset import (
    CODES_TO_ENCODINGS,
    STAND_ALONE_ENCODINGS,
    default_encoding,
    python_encoding,
)

_RUN = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_WITH_EXTENSIONS, _WITHOUT = re.compile(r"^ISO.2022.IR."), re.compile(r"^ISO.IR.")

DEFAULT: tuple[str, ...] = (default_encoding,)
"""The encoding where no character set is declared."""


def decoded(value: bytes, encodings: Sequence[str]) -> str:
    """Decode bytes in the declared character sets (PS3.5 6.1)."""
    if b"\x1b" in value:
        return "".join(_decoded_run(run, encodings[0]) for run in _RUN.findall(value))
    if value.isascii():
        return value.decode("ascii")
    return value.decode(encodings[0], "replace")


def declared(names: str, inherited: Sequence[str]) -> Sequence[str]:
    """Return the Python names of the encodings in a Specific Character Set; the inherited ones when it is empty."""
    return _python_names(names) if names else inherited


def corrected(value: bytes) -> bytes:
    """Return a Specific Character Set of the same length that pydicom reads without a warning.

    A misspelt name is corrected and an unknown one left empty.
    """
    names = [known_name(name) for name in value.decode(default_encoding).rstrip(" \0").split("\\")]
    first, others = names[0], [name for name in names[1:] if name not in STAND_ALONE_ENCODINGS]
    known = [first] if first in STAND_ALONE_ENCODINGS else [first, *others]
    return "\\".join(known).encode(default_encoding).ljust(len(value))


def known_name(name: str) -> str:
    """Return the defined term (PS3.3 C.12.1.1.2) for a possibly misspelt name; empty when it is unknown."""
    spelt = _WITH_EXTENSIONS.sub("ISO 2022 IR ", _WITHOUT.sub("ISO_IR ", name.strip()))
    return spelt if spelt in python_encoding else ""


@lru_cache(maxsize=256)
def _python_names(names: str) -> tuple[str, ...]:
    return tuple(python_encoding.get(known_name(name), default_encoding) for name in names[:_LONGEST].split("\\"))


_LONGEST = 1024

_WITH_ESCAPES = ("iso2022_jp", "iso2022_jp_2")
"""Codecs that read the escape sequence themselves; that of Chinese (ISO-IR 58) would take it for text."""


def _decoded_run(run: bytes, first: str) -> str:
    """Decode one run of text, which may begin with the escape sequence of its character set."""
    length = 4 if run.startswith((b"\x1b$(", b"\x1b$)")) else 3
    encoding = CODES_TO_ENCODINGS.get(run[:length])
    if encoding is None:
        return run.decode(first, "replace")
    if encoding in _WITH_ESCAPES:
        return run.decode(encoding, "replace")
    return run[length:].decode(encoding, "replace")
