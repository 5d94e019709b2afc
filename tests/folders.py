"""Folders of the project that tests read from."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
VENDORS = ROOT / "pipeline" / "sr" / "dialects" / "vendors"
"""The dialects shipped in the package."""
SAMPLES = ROOT / "sample_dicom"
