"""Folders of the project that tests read from."""

from pathlib import Path

ROOT = Path(__file__).parent.parent
DIALECTS = ROOT / "config" / "dialects"
SAMPLES = ROOT / "sample_dicom"
SHARED = ROOT.parent / "shared"
"""Third-party files and cases, beside the project where somebody has them."""
