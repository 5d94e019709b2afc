"""Open the application context of a command, and refuse writes while the service uses another configuration."""

import argparse
from collections.abc import Iterator
from contextlib import contextmanager

from dxatrend.cli.output import print_errors, show_times_in
from pipeline.edge.app import App, open_app
from pipeline.edge.live_configuration import OtherConfigurationError, require_current


@contextmanager
def open_store(options: argparse.Namespace, *, existing: bool = True) -> Iterator[App]:
    """Yield the application context; a command that only reads prints a warning where one that writes is refused.

    Raises:
        OtherConfigurationError: the service uses another configuration, and neither ``--force`` nor ``--dry-run`` is
            given to a command that writes.
    """
    with open_app(options.config, existing=existing) as app:
        show_times_in(app.reference_data.zone)
        try:
            require_current(app)
        except OtherConfigurationError as other:
            if not getattr(options, "force", True) and not getattr(options, "dry_run", False):
                raise
            print_errors(other)
        yield app
