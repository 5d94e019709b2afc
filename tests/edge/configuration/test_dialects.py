"""The dialects in force: shipped ones, additions and replacements of the site."""

import shutil
import subprocess
import sys
import tomllib
import zipfile
from datetime import date
from pathlib import Path

import pytest

from dxatrend.cli.main import main
from pipeline.edge.configuration.dialects import Origin, dialects_in_force, shipped_dialects
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.reference_data import reference_data_of
from tests.folders import ROOT, VENDORS

SMALL = """
name = "{name}"
version = "7"
[[report]]
root = {{ meaning = "DXA Report" }}
[[scan]]
container = {{ meaning = "Scan" }}
[quantities]
bmd = [{{ meaning = "BMD" }}]
[units]
"g/cm2" = []
"""

CONTENT = {
    "hologic": ("2", date(2026, 11, 26), "e20de78359f211bc"),
    "lunar": ("2", date(2026, 11, 26), "b7105541632afc1e"),
    "tid1500": ("2", date(2026, 11, 26), "f2ecff0eac64bf1c"),
}
"""Version, date and fingerprint of every shipped dialect."""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration folder in which nothing is configured."""
    (tmp_path / "dialects").mkdir()
    (tmp_path / "service.toml").write_text(f'[store]\nurl = "sqlite:///{tmp_path}/store.sqlite3"')
    return tmp_path


def write(config: Path, file: str, text: str) -> None:
    (config / "dialects" / file).write_text(text, encoding="utf-8")


def shipped_text(name: str) -> str:
    return (VENDORS / f"{name}.toml").read_text(encoding="utf-8")


def origins(config: Path) -> dict[str, Origin]:
    return {one.dialect.name: one.origin for one in dialects_in_force(config / "dialects")}


def test_without_files_of_the_site_the_shipped_dialects_are_in_force(tmp_path: Path) -> None:
    assert origins(tmp_path) == dict.fromkeys(("hologic", "lunar", "tid1500"), Origin.SHIPPED)
    assert load_configuration(tmp_path)[1] == shipped_dialects()


def test_a_shipped_dialect_that_changes_gets_a_later_date_and_another_version() -> None:
    """A site finds by the date that its copy is older than ours: change all three here when the content changes."""
    assert {one.name: (one.version, one.date, one.fingerprint) for one in shipped_dialects()} == CONTENT


def test_a_dialect_with_a_new_name_is_tried_before_the_shipped_ones(config: Path) -> None:
    write(config, "zeta.toml", SMALL.format(name="zeta"))
    assert list(origins(config)) == ["zeta", "hologic", "lunar", "tid1500"]
    assert origins(config)["zeta"] is Origin.ADDED


def test_a_dialect_with_a_shipped_name_replaces_it_in_its_place_whatever_its_file_is_called(config: Path) -> None:
    write(config, "our-ge.toml", SMALL.format(name="lunar"))
    assert [str(one) for one in load_configuration(config)[1]] == ["hologic 2", "lunar 7", "tid1500 2"]


@pytest.mark.parametrize(
    ("old", "new", "origin"),
    [
        ("# ", "#  ", Origin.SAME),
        ("DXA Report", "Report of DXA", Origin.CHANGED),
        ("date = 2026-11-26", "date = 2026-11-25", Origin.OLDER),
        ("date = 2026-11-26", "date = 2027-11-25", Origin.CHANGED),
        ("date = 2026-11-26\n", "", Origin.UNDATED),
    ],
)
def test_a_copy_is_compared_with_the_shipped_dialect(config: Path, old: str, new: str, origin: Origin) -> None:
    text = shipped_text("lunar")
    assert old in text
    write(config, "lunar.toml", text.replace(old, new))
    assert origins(config) == {"hologic": Origin.SHIPPED, "lunar": origin, "tid1500": Origin.SHIPPED}


def test_a_file_of_the_site_that_cannot_be_used_is_an_error_and_never_passed_over(config: Path) -> None:
    write(config, "lunar.toml", shipped_text("lunar").replace("date = 2026-11-26", 'date = "autumn"'))
    (config / "dialects" / "other.toml").write_bytes(b"\xff\xfe[")
    with pytest.raises(SettingsError) as refused:
        load_configuration(config)
    assert refused.value.mistakes == (
        "dialects/other.toml: is not UTF-16-LE text in line 1",
        "dialects/lunar.toml: date: must be a day, written as 2026-11-26",
    )


def test_only_another_content_of_a_dialect_has_the_reports_read_again(config: Path) -> None:
    before = reference_data_of(*load_configuration(config)).reader_fingerprint
    write(config, "lunar.toml", f"# looked over\n{shipped_text('lunar')}")
    assert reference_data_of(*load_configuration(config)).reader_fingerprint == before
    write(config, "lunar.toml", shipped_text("lunar").replace("DXA Report", "Report of DXA"))
    assert reference_data_of(*load_configuration(config)).reader_fingerprint != before


def test_check_lists_the_dialects_in_force_and_asks_about_an_old_copy(
    config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(config, "acme.toml", SMALL.format(name="acme"))
    write(config, "hologic.toml", shipped_text("hologic"))
    write(config, "lunar.toml", shipped_text("lunar").replace("2026-11-26", "2025-01-31"))
    main(["--config", str(config), "check"])
    lines = [line for line in capsys.readouterr().out.splitlines() if "dialect " in line]
    folder = config / "dialects"
    assert lines == [
        f"dialect acme 7: {folder / 'acme.toml'}, added by the site",
        f"please check: dialect hologic 2 of 2026-11-26: {folder / 'hologic.toml'}, a copy of the shipped one, "
        "without a difference: remove it, and an upgrade brings the next",
        f"please check: dialect lunar 2 of 2025-01-31: {folder / 'lunar.toml'}, replaces the shipped one, "
        "which is newer (lunar 2 of 2026-11-26): take over what has changed",
        "dialect tid1500 2 of 2026-11-26: shipped with dxatrend",
    ]


def test_a_wheel_holds_the_shipped_dialects(tmp_path: Path) -> None:
    """Built from a copy, as a build leaves files behind."""
    source = tmp_path / "source"
    for package in ("pipeline", "flows", "dxatrend"):
        shutil.copytree(ROOT / package, source / package, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / file, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--wheel-dir", tmp_path, source], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {
            tomllib.loads(archive.read(name).decode())["name"]
            for name in archive.namelist()
            if name.startswith("pipeline/sr/dialects/vendors/") and name.endswith(".toml")
        }
    assert names == {one.name for one in shipped_dialects()}
