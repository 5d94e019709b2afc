"""Secrets of the ways out: from a file that others cannot read, or from the settings, as an environment variable."""

import stat
from pathlib import Path

from pipeline.errors import DxatrendError


class SecretError(DxatrendError):
    """A file with a secret that cannot be read, or that everybody can read; the text names the setting."""


def secret(value: str | None, file: Path | None, *, setting: str) -> str | None:
    """Return a secret as it was set, or the first line of its file; ``None`` where there is neither.

    Raises:
        SecretError: the file cannot be used.
    """
    if file is None:
        return value
    try:
        if file.stat().st_mode & stat.S_IRWXO:
            raise SecretError(f"{setting}: everybody can read the file; chmod 640 keeps it private")
        lines = file.read_text().splitlines()
    except (OSError, UnicodeError) as error:
        raise SecretError(f"{setting}: {getattr(error, 'strerror', None) or type(error).__name__}") from None
    if not lines or not lines[0].strip():
        raise SecretError(f"{setting}: the file is empty")
    return lines[0].strip()
