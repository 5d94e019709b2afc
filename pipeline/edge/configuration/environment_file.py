"""The file ``environment`` of a configuration folder: variables for the service, and so for commands as well.

systemd reads it as ``EnvironmentFile=``. A command that did not would look for another store than the service's.
"""

import os
import re
from pathlib import Path

FILE = "environment"

_NAMES = re.compile(r"\s*((?:DXATREND_|PG)\w+)=(.*)")
"""Settings of ours, and of the PostgreSQL client; what else the file may set is the service's alone."""


def set_from_file(folder: Path) -> str | None:
    """Set the variables of the file that are not set yet; return why the file cannot be read, if it is there."""
    path = folder / FILE
    if not os.access(folder, os.X_OK):  # the command will say so itself
        return None
    try:
        text = path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        return f"{path}: {error.strerror}; this command works without the settings in it"
    for line in text.splitlines():
        if found := _NAMES.fullmatch(line):
            os.environ.setdefault(found[1], _unquoted(found[2].strip()))
    return None


def _unquoted(value: str) -> str:
    """Return a value as systemd reads it: in single quotes as it is, in double quotes with escapes (systemd.exec)."""
    if len(value) > 1 and value[0] == value[-1] == "'":
        return value[1:-1]
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
        return _ESCAPED.sub(r"\1", value)
    return value


_ESCAPED = re.compile(r'\\(["\\$`])')
