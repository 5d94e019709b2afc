"""The password of Prefect's API, in a file that only its owner may read; created where the server is started.

Anyone who reaches an API without a password can run commands as the user of the service: a deployment names any. The
file contains what Prefect calls its auth string, ``user:password``, sent as HTTP basic authentication.
"""

import os
import secrets
import stat
import tempfile
from pathlib import Path

from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.private_paths import who_else_can_change
from pipeline.errors import DxatrendError

USER = "dxatrend"


class UnusablePasswordError(DxatrendError):
    """The password file cannot be used; the text names it and the reason."""


def password_file(settings: PrefectSettings) -> Path:
    """Return the path of the password file."""
    return settings.password_file or settings.home / "password"


def read_password(settings: PrefectSettings) -> str:
    """Return the password as Prefect's clients and its server expect it.

    Raises:
        UnusablePasswordError: there is none, or others may read it or put another in its place.
    """
    path = password_file(settings)
    try:
        with path.open(encoding="ascii") as file:
            mode, text = os.fstat(file.fileno()).st_mode, file.read().strip()
    except OSError as error:
        raise UnusablePasswordError(f"prefect.password_file: {path}: {error.strerror}") from None
    except UnicodeDecodeError:
        text = ""
    if not text.isprintable() or not text:
        raise UnusablePasswordError(
            f"prefect.password_file: {path}: this is not one line of printable ASCII characters"
        )
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise UnusablePasswordError(
            f"prefect.password_file: {path}: users other than its owner can read it; chmod 600 makes it private"
        )
    if clause := who_else_can_change(path):
        raise UnusablePasswordError(
            f"prefect.password_file: {path}: {clause}, and so put a password of theirs in its place; "
            "name a file in a folder where only the service's user can write, there and in all folders above it"
        )
    return text


def make_password(settings: PrefectSettings) -> str:
    """Return the password; create it first where there is none yet.

    Raises:
        UnusablePasswordError: it cannot be stored, or others may read the file that is there.
    """
    path = password_file(settings)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Whole or not at all: another process may start and read it at the same time.
        with tempfile.NamedTemporaryFile("w", dir=path.parent, encoding="ascii") as file:  # mode 0600
            file.write(f"{USER}:{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
            os.link(file.name, path)
    except FileExistsError:
        pass
    except OSError as error:
        if not path.exists():
            raise UnusablePasswordError(f"prefect.password_file: {path}: cannot be created: {error.strerror}") from None
    return read_password(settings)
