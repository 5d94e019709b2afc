"""The bundle that ``make bundle`` makes, and one of a later version with a migration that the test writes."""

import hashlib
import shutil
import subprocess
import zipfile
from pathlib import Path

from tests.debian_machine import DebianMachine
from tests.factories.store_snapshot import knows_revision, newest
from tests.folders import ROOT, SAMPLES

MIGRATIONS = "pipeline/edge/store/migrations/versions"
DATABASE = "pipeline/edge/store/database.py"


def make_bundle(folder: Path) -> Path:
    """Make the bundle of this checkout in a folder, and return the folder of what is in it."""
    subprocess.run([str(ROOT / "scripts" / "bundle"), str(folder)], check=True, timeout=300)
    (archive,) = folder.glob("dxatrend-*.tar.gz")
    return archive.with_name(archive.name.removesuffix(".tar.gz"))


def install(bundle: Path, machine: DebianMachine) -> None:
    """Carry the bundle to a machine, with our sample reports, and install it there."""
    shutil.copytree(bundle, machine.shared / "bundle")
    shutil.copytree(SAMPLES / "01-stable", machine.shared / "reports")
    machine.run("/tmp/shared/bundle/install", seconds=500)


def later_bundle(bundle: Path, folder: Path, *, version: str, migration: str) -> None:
    """Make a bundle of a later version in a folder: the same program, which knows one more schema."""
    shutil.copytree(bundle, folder)
    (wheel,) = (folder / "wheels").glob("dxatrend-*.whl")
    contents = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            contents[name] = archive.read(name)
    contents[DATABASE] = knows_revision(contents[DATABASE].decode(), "9000").encode()
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in contents.items():
            archive.writestr(name, content)
        archive.writestr(
            f"{MIGRATIONS}/9000_later.py",
            f'"""A later schema."""\nfrom alembic import op\nrevision, down_revision = "9000", "{newest()}"\n'
            f"branch_labels = depends_on = None\ndef upgrade() -> None:\n    {migration}\n",
        )
    (folder / "VERSION").write_text(f"{version}\n")
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != "SHA256SUMS")
    sums = (f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in files)
    (folder / "SHA256SUMS").write_text("".join(sums))
