"""``dxatrend demo``: play the sample patients through the service."""

import argparse

from dxatrend.demo import demo


def run(options: argparse.Namespace) -> int:
    """Play every sample patient and return 0 when each addendum is as expected."""
    return demo(outlines=options.outline)
