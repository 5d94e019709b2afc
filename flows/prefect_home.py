"""The home of Prefect: the folder of its settings and its database, to which nobody but the service's user may write.

Whoever can write there can run programs as that user: Prefect takes settings from ``profiles.toml``, and its database
says what a run executes.
"""

from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.private_paths import who_else_can_change
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError


class UnsafeHomeError(DxatrendError):
    """The home of Prefect cannot be used; the text names it, the reason and what to do."""


def require_private_home(settings: PrefectSettings) -> None:
    """Require that nobody else can write to the home of Prefect, or put another folder in its place.

    Raises:
        UnsafeHomeError: somebody can.
    """
    if clause := who_else_can_change(settings.home):
        raise UnsafeHomeError(
            f"prefect.home: {printable(settings.home)}: {printable(clause)}, and so run programs as the service; "
            "name a folder where only the service's user can write, there and in all folders above it; "
            "if you are neither that user nor root, let one of them run this"
        )


def make_home(settings: PrefectSettings) -> None:
    """Make the home of Prefect, where there is none yet, and close it to everybody else.

    Raises:
        UnsafeHomeError: it cannot be made private, or somebody else could write there.
    """
    require_private_home(settings)  # before anything is made where somebody else decides what it is
    try:
        for folder in reversed(settings.home.absolute().parents):
            folder.mkdir(mode=0o755, exist_ok=True)  # whatever the umask lets a group do
        settings.home.mkdir(mode=0o700, exist_ok=True)
        settings.home.chmod(0o700)
    except OSError as error:
        raise UnsafeHomeError(
            f"prefect.home: {printable(settings.home)}: cannot be made private: {error.strerror}"
        ) from None
    require_private_home(settings)
