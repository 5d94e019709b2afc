"""Run the command line: ``python -m dxatrend``."""

import sys

from dxatrend.cli.main import main

sys.exit(main())
