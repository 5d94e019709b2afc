"""The configuration is read once, whole, and refused whole, with every mistake under its key."""

import json
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from pipeline.clinical.regions import parse_region
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from tests.folders import ROOT, VENDORS

LSC = """
[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+500475"
region = "L1-L4"
same_day = false
lsc = "0.028"
patients = 30
repeats = 2
valid_from = 2019-01-01
valid_until = 2030-01-01
source = "in vivo study, January 2019"
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder with the shipped dialects and nothing else."""
    return tmp_path


def _mistakes(config: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load_configuration(config)
    return refused.value.mistakes


def test_the_shipped_configuration_can_be_used() -> None:
    settings, dialects = load_configuration(ROOT / "config")
    assert settings.service.listener.host == "127.0.0.1", "nothing listens beyond this machine until configured"
    assert {dialect.name for dialect in dialects} == {"hologic", "lunar", "tid1500"}


def test_a_folder_with_dialects_alone_gives_the_defaults(config: Path) -> None:
    settings, _ = load_configuration(config)
    assert settings.service.listener.ae_title == "DXATREND"
    assert settings.service.listener.caller == ()


@pytest.mark.parametrize(
    ("line", "mistake"),
    [
        ('content = ["sr", "fax"]', '6: destination.content: has to be one of "sr", "image", "pdf"'),
        ('content = ["pdf", "pdf"]', "6: destination.content: 'pdf' is listed twice"),
        ('kind = "fax"', "6: destination.kind: there is no such kind; the kinds are dicom, "),
        ("kind = 5", "6: destination.kind: there is no such kind; the kinds are dicom, "),
        ('kind = "folder"\nfolder = "x"', "3: destination.ae_title: there is no such key"),
        ('prof = "find"', "6: destination.prof: there is no such key; did you mean 'proof'?"),
        ("content = []", "6: destination.content: is empty; it has to be a list in [ ]"),
        ('[addendum]\nsop_class = "basic"', '7: addendum.sop_class: has to be one of "comprehensive", "enhanced"'),
        ('[addendum]\nfont = "missing.ttf"', "7: addendum.font: there is no such file"),
        ('[addendum]\nfont = "SERVICE"', "7: addendum.font: this is no TrueType or OpenType font"),
    ],
)
def test_a_form_that_nobody_can_send_is_a_mistake_under_its_key(config: Path, line: str, mistake: str) -> None:
    file = config / "service.toml"
    line = line.replace("SERVICE", str(file))
    pacs = '[[destination]]\nname = "pacs"\nae_title = "PACS"\nhost = "127.0.0.1"\nport = 104'
    file.write_text(f"{pacs}\n{line}\n")
    assert _mistakes(config)[0].startswith(f"service.toml, line {mistake}")


def test_a_whole_configuration_is_read_as_it_stands(config: Path) -> None:
    """The example of the interface that outside scripts rely on."""
    (config / "service.toml").write_text("""
        [store]
        url = "sqlite:///var/dxatrend.sqlite3"
        [listener]
        ae_title = "DXATREND"
        host = "127.0.0.1"
        port = 11112
        [[listener.caller]]
        ae_title = "SCANNER1"
        host = "127.0.0.1"
        [exam]
        settle_seconds = 30
        [[destination]]
        name = "pacs"
        ae_title = "ORTHANC"
        host = "127.0.0.1"
        port = 4242
        proof = "commitment"
        """)
    (config / "scanners.toml").write_text("""
        [[scanner]]
        manufacturer = "GE Healthcare"
        model = "Lunar Prodigy"
        serial_number = "DF+500475"
        name = "Room 2"
        [[scanner.epoch]]
        from = 2024-03-01
        reason = "tube replaced"
        cross_calibrated = true
        """)
    (config / "precision.toml").write_text(LSC)
    settings, _ = load_configuration(config)
    (lsc,) = settings.lscs
    (epoch,) = settings.epochs
    assert (lsc.lsc, lsc.region, lsc.valid_until) == (Decimal("0.028"), parse_region("L1-L4"), date(2030, 1, 1))
    assert (epoch.begins, epoch.cross_calibrated, epoch.scanner) == (date(2024, 3, 1), True, lsc.scanner)
    assert settings.service.dicom_destinations[0].proof == "commitment"


def test_an_lsc_may_be_given_as_its_precision_error(config: Path) -> None:
    """R1.7: LSC = 2.77 x PE at 95 % confidence."""
    (config / "precision.toml").write_text(LSC.replace('lsc = "0.028"', 'precision_error = "0.010"'))
    assert load_configuration(config)[0].lscs[0].lsc == Decimal("0.02770")


def test_numbers_without_quotes_are_exact_too(config: Path) -> None:
    (config / "precision.toml").write_text(LSC.replace('"0.028"', "0.028"))
    assert load_configuration(config)[0].lscs[0].lsc == Decimal("0.028")


def test_the_environment_overrides_any_key(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "service.toml").write_text("[listener]\nport = 104\nae_title = 'ROOM2'")
    monkeypatch.setenv("DXATREND_SERVICE__LISTENER__PORT", "11113")
    listener = load_configuration(config)[0].service.listener
    assert (listener.port, listener.ae_title) == (11113, "ROOM2")


def test_all_errors_are_reported_together_each_under_its_key(config: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (config / "service.toml").write_text("""
        [store]
        url = "mysql://somewhere"
        [listener]
        port = 0
        ae_title = "FAR TOO LONG FOR DICOM"
        [exam]
        settle_secconds = 30
        """)
    (config / "scanners.toml").write_text("[[scanner]\n")
    (config / "precision.toml").write_text(LSC.replace("L1-L4", "elbow"))
    (config / "presicion.toml").write_text("")
    monkeypatch.setenv("DXATREND_SERVISE__LISTENER__PORT", "1")
    told = "\n".join(_mistakes(config))
    for expected in (
        "service.toml, line 3: store.url: only sqlite:/// and postgresql+psycopg://",
        "service.toml, line 5: listener.port: has to be a whole number from 1 to 65535",
        "service.toml, line 6: listener.ae_title: an AE title has 1 to 16",
        "service.toml, line 8: exam.settle_secconds: there is no such key; did you mean 'settle_seconds'?",
        "scanners.toml, line 1: [[ is closed by ]]",
        "precision.toml, line 6: lsc.region: 'elbow' names no region we know",
        "presicion.toml: no part of the configuration has this name",
        "DXATREND_SERVISE__LISTENER__PORT (environment): no part of the configuration is called 'servise'",
    ):
        assert expected in told


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("repeats = 2", "repeats = 1"), "precision.toml, line 10: lsc.repeats: has to be a whole number, 2 or more"),
        (("patients = 30", "patients = 20"), "20 degrees of freedom; a precision study needs 30 (R1.2)"),
        (('lsc = "0.028"', ""), "give either lsc or precision_error"),
        (('lsc = "0.028"', 'lsc = "0.028"\nprecision_error = "0.01"'), "give either lsc or precision_error"),
        (("2030-01-01", "2018-01-01"), "valid_until lies before valid_from"),
        (('"0.028"', '"28"'), "lsc.lsc: is in g/cm2, so more than 0 and less than 1; this looks like mg/cm2"),
        (('"0.028"', '"2.8"'), "lsc.lsc: is in g/cm2, so more than 0 and less than 1; this looks like percent"),
    ],
)
def test_an_lsc_that_cannot_be_trusted_is_refused(config: Path, change: tuple[str, str], expected: str) -> None:
    """R1.2, R1.12: a wrong LSC makes a wrong verdict."""
    (config / "precision.toml").write_text(LSC.replace(*change))
    assert expected in "\n".join(_mistakes(config))


def test_an_alias_that_names_nothing_is_refused(config: Path) -> None:
    """It would make every scanner of the model this one."""
    (config / "scanners.toml").write_text("""
        [[scanner]]
        manufacturer = "GE Healthcare"
        model = "Lunar Prodigy"
        serial_number = "DF+500475"
        [[scanner.alias]]
        from = 2020-01-01
        """)
    assert "give station_name or institution" in "\n".join(_mistakes(config))


def test_two_lscs_for_one_scanner_and_region_at_one_time_contradict_each_other(config: Path) -> None:
    (config / "precision.toml").write_text(LSC + LSC.replace("2019-01-01", "2025-01-01").replace("0.028", "0.030"))
    assert "entries 1 and 2 from the top are both valid for L1-L4" in "\n".join(_mistakes(config))


def test_an_lsc_may_follow_another(config: Path) -> None:
    later = LSC.replace("2030-01-01", "2035-01-01").replace("2019-01-01", "2030-01-02")
    (config / "precision.toml").write_text(LSC + later)
    assert len(load_configuration(config)[0].lscs) == 2


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert "no such configuration folder; dxatrend init makes one" in _mistakes(tmp_path / "nowhere")[0]


def test_a_mistake_does_not_repeat_what_was_configured(config: Path) -> None:
    """A database URL may hold a password."""
    (config / "service.toml").write_text('[store]\nurl = "mysql://user:secret@host/db"')
    assert "secret" not in "\n".join(_mistakes(config))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_files_with_a_byte_order_mark_are_read(config: Path, encoding: str) -> None:
    marked = "" if encoding in ("utf-8-sig", "utf-16", "utf-32") else "\ufeff"
    (config / "precision.toml").write_bytes((marked + LSC.replace("\n", "\r\n")).encode(encoding))
    (config / "dialects").mkdir()
    for path in VENDORS.glob("*.toml"):
        (config / "dialects" / path.name).write_bytes((marked + path.read_text()).encode(encoding))
    found, dialects = load_configuration(config)
    assert (len(found.lscs), len(dialects)) == (1, 3)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("[store]".encode("utf-16-le"), "is not UTF-8 text; UTF-16 is read where the file begins with"),
        ("[store]".encode("utf-16-be"), "is not UTF-8 text; UTF-16 is read where the file begins with"),
        (b"# one\n# M\xfcller\n", "is not UTF-8 text in line 2"),
        (b"\xff\xfe[", "is not UTF-16-LE text"),
        (b"x = " + b"[" * 5000, "one list in another goes too deep"),
    ],
)
def test_a_file_that_is_no_text_is_refused_in_words(config: Path, content: bytes, expected: str) -> None:
    (config / "service.toml").write_bytes(content)
    (config / "scanners.toml").mkdir()
    mistakes = _mistakes(config)
    assert any(mistake.startswith(f"service.toml: {expected}") for mistake in mistakes)
    assert "scanners.toml: this is a folder, and should be a file" in mistakes


@pytest.mark.parametrize(
    "url",
    [
        "",
        "sqlite://",
        "sqlite:///",
        "sqlite:///:memory:",
        "sqlite:///file::memory:?uri=true",
        "sqlite:///file:store?mode=memory&uri=true",
        "sqlite:///store.sqlite3?mode=ro",
        "sqlite:///var/",
        "sqlite:///~/store.sqlite3",
        "sqlite://host/store.sqlite3",
        "sqlite+aiosqlite:///store.sqlite3",
        "sqlite+pysqlcipher://:password@/store.sqlite3",
        "var/store.sqlite3",
        "/var/store.sqlite3",
        "sqlite:///store.sqlite3\n",
        "sqlite:///sto\0re.sqlite3",
        "postgresql://user@host/name",
        "postgres://user@host/name",
        "postgresql+asyncpg://user@host/name",
        "postgresql+psycopg2://user@host/name",
        "postgresql+psycopg://user@host",
        "postgresql+psycopg://user@host/",
        "postgresql+psycopg://user@host/a/b",
        "postgresql+psycopg://user@host:0/name",
        "postgresql+psycopg://user@host:99999/name",
        "postgresql+psycopg://user@host:port/name",
        "mysql://host/name",
        "http://host/name",
    ],
)
def test_a_store_url_that_would_not_last_or_not_work_is_refused(config: Path, url: str) -> None:
    (config / "service.toml").write_text(f"[store]\nurl = {json.dumps(url)}")
    assert any(mistake.startswith("service.toml, line 2: store.url: ") for mistake in _mistakes(config))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////absolute/store.sqlite3",
        "postgresql+psycopg://user:p%40ss@[::1]:5432/name?sslmode=require",
        "postgresql+psycopg:///name?host=/run/postgresql",
    ],
)
def test_a_store_url_that_works_is_taken_as_it_is(config: Path, url: str) -> None:
    (config / "service.toml").write_text(f'[store]\nurl = "{url}"')
    assert load_configuration(config)[0].service.store.url == url


FOUR, OTHERS = ("L1-L4", "T12-L3", "L2-L5"), ("L1-L3", "L1,L3", "total hip", "femoral neck left", "33% radius")


@pytest.mark.parametrize("region", FOUR)
def test_an_lsc_of_four_vertebrae_has_to_say_whether_its_scans_were_of_one_day(config: Path, region: str) -> None:
    """E8, R1.15"""
    entry = LSC.replace("L1-L4", region)
    (config / "precision.toml").write_text(entry.replace("same_day = false\n", ""))
    (mistake,) = _mistakes(config)
    assert mistake.startswith(
        "precision.toml, line 2: lsc.same_day: is missing; it has to be true if each patient's scans were made on one"
    )
    for told in (True, False):
        (config / "precision.toml").write_text(entry.replace("same_day = false", f"same_day = {told}".lower()))
        assert [lsc.same_day for lsc in load_configuration(config)[0].lscs] == [told]


@pytest.mark.parametrize("region", OTHERS)
def test_other_lscs_may_say_it(config: Path, region: str) -> None:
    entry = LSC.replace("L1-L4", region)
    for line, told in (("same_day = true\n", True), ("same_day = false\n", False), ("", None)):
        (config / "precision.toml").write_text(entry.replace("same_day = false\n", line))
        assert [lsc.same_day for lsc in load_configuration(config)[0].lscs] == [told]


@pytest.mark.parametrize("key", ["manufacturer", "model", "serial_number", "same_day"])
def test_what_still_has_to_be_filled_in_is_refused(config: Path, key: str) -> None:
    lines = [f'{key} = "FILL IN"' if line.startswith(f"{key} =") else line for line in LSC.splitlines()]
    (config / "precision.toml").write_text("\n".join(lines))
    (mistake,) = _mistakes(config)
    assert mistake.endswith(f': lsc.{key}: "FILL IN" still stands there; replace it')
