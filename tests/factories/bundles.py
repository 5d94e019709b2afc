"""The bundle that ``make bundle`` makes, and one of a later version with a migration that the test writes."""

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.factories.store_snapshot import newest
from tests.folders import ROOT

MIGRATIONS = "pipeline/edge/store/migrations/versions"


def make_bundle(folder: Path) -> Path:
    """Make the bundle of this checkout in a folder, and return the folder of what is in it."""
    subprocess.run([str(ROOT / "scripts" / "bundle"), str(folder)], check=True, timeout=300)
    (archive,) = folder.glob("dxatrend-*.tar.gz")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def later_bundle(bundle: Path, folder: Path, *, version: str, migration: str) -> None:
    """Make a bundle of a later version in a folder: the same program, which knows one more schema."""
    shutil.copytree(bundle, folder)
    (wheel,) = (folder / "wheels").glob("dxatrend-*.whl")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(
            f"{MIGRATIONS}/9000_later.py",
            f'"""A later schema."""\nfrom alembic import op\nrevision, down_revision = "9000", "{newest()}"\n'
            f"branch_labels = depends_on = None\ndef upgrade() -> None:\n    {migration}\n",
        )
    (folder / "VERSION").write_text(f"{version}\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text("".join(sums))
