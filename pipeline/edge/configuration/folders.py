"""The default configuration folder and data folder of a machine (FHS 3.7.4 and 5.8)."""

import os
from pathlib import Path

CONFIG_VARIABLE = "DXATREND_CONFIG"
"""The environment variable that names the configuration folder."""

SYSTEM_FOLDER = Path("/etc/dxatrend")
"""The configuration folder of a machine that runs the service."""

SYSTEM_DATA_FOLDER = Path("/var/lib/dxatrend")
"""The data folder that belongs to ``SYSTEM_FOLDER``, unless ``store.folder`` names another."""


def default_folder() -> Path:
    """Return the configuration folder that is used where the command line names none."""
    if named := os.environ.get(CONFIG_VARIABLE):
        return Path(named)
    return SYSTEM_FOLDER if SYSTEM_FOLDER.is_dir() else Path("config")
