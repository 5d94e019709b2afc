"""Write a PDF file: numbered objects, streams and the table of where they are (ISO 32000-1, 7.3 and 7.5)."""

import hashlib
import zlib
from collections.abc import Mapping

Value = bytes | str | int | float
"""What a dictionary holds: a number, or an object as it is written."""


def dictionary(values: Mapping[str, Value]) -> bytes:
    """Return a dictionary; a text is written as it is, as ``/Name`` or ``[0 1]``."""
    return b"<<%b>>" % b"".join(b"/%b %b" % (name.encode(), _written(value)) for name, value in values.items())


def string(text: str) -> bytes:
    """Return a string object, in UTF-16 as any reader understands."""
    return b"<%b>" % ("\ufeff" + text).encode("utf-16-be").hex().encode()


class PdfFile:
    """Objects of one file, numbered as they are added; the same objects make the same bytes."""

    def __init__(self) -> None:
        self._objects: list[bytes] = []

    def reserve(self) -> str:
        """Return the reference of an object whose content is not known yet."""
        self._objects.append(b"null")
        return f"{len(self._objects)} 0 R"

    def add(self, content: bytes) -> str:
        """Add an object, and return its reference."""
        self._objects.append(content)
        return f"{len(self._objects)} 0 R"

    def put(self, reference: str, content: bytes) -> None:
        """Give a reserved object its content."""
        self._objects[int(reference.split()[0]) - 1] = content

    def add_stream(self, content: bytes, values: Mapping[str, Value] | None = None) -> str:
        """Add a compressed stream, and return its reference."""
        compressed = zlib.compress(content, 6)
        head = dictionary({**(values or {}), "Length": len(compressed), "Filter": "/FlateDecode"})
        return self.add(b"%b\nstream\n%b\nendstream" % (head, compressed))

    def written(self, *, catalogue: str, information: str) -> bytes:
        """Return the file; the arguments are references to its catalogue and to its properties."""
        parts = [b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"]  # letters beyond ASCII: it is no text
        parts += [b"%d 0 obj\n%b\nendobj\n" % (number, content) for number, content in enumerate(self._objects, 1)]
        offsets, at = [], 0
        for part in parts:
            offsets.append(at)
            at += len(part)
        identity = f"<{hashlib.sha256(b''.join(parts)).hexdigest()[:32]}>"
        trailer = dictionary({
            "Size": len(parts), "Root": catalogue, "Info": information, "ID": f"[{identity} {identity}]"
        })  # fmt: skip
        table = [b"0000000000 65535 f \n", *(b"%010d 00000 n \n" % offset for offset in offsets[1:])]
        head = b"xref\n0 %d\n" % len(parts)
        end = b"trailer\n%b\nstartxref\n%d\n%%%%EOF\n" % (trailer, at)
        return b"".join([*parts, head, *table, end])


def _written(value: Value) -> bytes:
    match value:
        case bytes():
            return value
        case str():
            return value.encode()
        case int() | float():
            return f"{value:g}".encode()
