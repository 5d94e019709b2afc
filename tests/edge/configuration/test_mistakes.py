"""Every mistake in a configuration is told in words of ours: file, line, key, and what is allowed."""

import itertools
import os
import tempfile
import tomllib
from collections.abc import Iterator
from datetime import date, time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from dxatrend.cli.main import main
from pipeline.edge.configuration.fields import Key, members
from pipeline.edge.configuration.loading import SettingsError, load_configuration
from pipeline.edge.configuration.mistakes import mistakes_in
from pipeline.edge.configuration.settings import Settings
from pipeline.edge.configuration.toml_lines import lines_of
from tests.folders import ROOT

PACS = '[[destination]]\nname = "pacs"\nae_title = "PACS"\nhost = "192.0.2.20"\nport = 104\n'
LSC = """[[lsc]]
manufacturer = "GE Healthcare"
model = "Lunar Prodigy"
serial_number = "DF+500475"
region = "total hip"
lsc = "0.028"
patients = 30
repeats = 2
valid_from = 2019-01-01
valid_until = 2030-01-01
source = "in vivo study"
"""
QUOTES = "a text stands in quotes, a day is written 2026-03-01, an answer true or false, a list in [ ]"

TABLE = [
    # an unknown key, file, section or kind
    ("service", "[listener]\nprot = 104", "line 2: listener.prot: there is no such key; did you mean 'port'?"),
    ("service", "[listner]\nport = 104", "line 1: listner: there is no such key; did you mean 'listener'?"),
    (
        "service",
        "[listener]\nsettle_seconds = 5",
        "line 2: listener.settle_seconds: there is no such key here; it belongs below [exam]",
    ),
    (
        "service",
        PACS + 'kind = "hl8"',
        "line 6: destination.kind: there is no such kind; the kinds are dicom, folder, hl7, stow, fhir; "
        "did you mean 'hl7'?",
    ),
    # a value of another type
    ("service", '[listener]\nport = "many"', "line 2: listener.port: has to be a whole number from 1 to 65535"),
    ("service", "[listener]\nport = 104.5", "line 2: listener.port: has to be a whole number from 1 to 65535"),
    ("service", "[listener]\nae_title = 5", 'line 2: listener.ae_title: has to be a text in quotes, as "text"'),
    ("service", "[listener]\npictures = 7", "line 2: listener.pictures: has to be true or false, without quotes"),
    (
        "service",
        "[listener.tls]\nkey = 5\ncertificate = 'a'\nca = 'b'",
        "line 2: listener.tls.key: has to be a path in quotes",
    ),
    (
        "precision",
        LSC.replace("2019-01-01", '"soon"'),
        "line 9: lsc.valid_from: has to be a day without quotes, as 2026-03-01",
    ),
    ("service", '[alarms]\nmorning = "early"', "line 2: alarms.morning: has to be a time, as 06:30:00"),
    ("service", '[backup]\nat = "2:30"', 'line 2: backup.at: has to be a time of day in quotes, as "02:30"'),
    ("rules", "drop_months = [9]", "line 1: drop_months: has to be a list of 2 entries in [ ], each a whole number"),
    (
        "service",
        '[alarms]\nwork_days = "mon"',
        'line 2: alarms.work_days: has to be a list in [ ]; each entry is one of "mon", "tue", "wed", "thu", "fri", '
        '"sat", "sun"',
    ),
    (
        "service",
        "[alarms]\nhold_off_minutes = 5",
        "line 2: alarms.hold_off_minutes: has to be names and values, as in { name = value }; each value is a "
        "number from 0 to 525600",
    ),
    # out of range, empty
    ("service", "[listener]\nport = 0", "line 2: listener.port: has to be a whole number from 1 to 65535"),
    ("service", "[exam]\nsettle_seconds = -1", "line 2: exam.settle_seconds: has to be a number from 0 to 86400"),
    ("service", "[exam]\nsettle_seconds = nan", "line 2: exam.settle_seconds: has to be a number from 0 to 86400"),
    (
        "precision",
        LSC.replace("repeats = 2", "repeats = 1"),
        "line 8: lsc.repeats: has to be a whole number, 2 or more",
    ),
    ("service", '[listener]\nhost = ""', 'line 2: listener.host: is empty; it has to be a text in quotes, as "text"'),
    (
        "precision",
        LSC.replace('"0.028"', "28"),
        "line 6: lsc.lsc: is in g/cm2, so more than 0 and less than 1; this looks like mg/cm2, of which 28 are "
        "0.028 g/cm2",
    ),
    (
        "precision",
        LSC.replace('"0.028"', "2.8"),
        "line 6: lsc.lsc: is in g/cm2, so more than 0 and less than 1; this looks like percent, from which none "
        "can be told: take it in g/cm2 from the precision study",
    ),
    # missing
    (
        "service",
        PACS.replace("port = 104\n", ""),
        "line 1: destination.port: is missing; it has to be a whole number from 1 to 65535",
    ),
    (
        "service",
        '[alarms.mail]\nto = ["a@example.org"]\nhost = "mail"',
        'line 1: alarms.mail.sender: is missing; it has to be a text in quotes, as "text"',
    ),
    (
        "scanners",
        '[[cross_calibration]]\nregion = "L1-L4"\n',
        "line 1: cross_calibration.old: is missing; it is a section of its own, which begins with "
        "[cross_calibration.old]",
    ),
    # a bad choice
    (
        "service",
        PACS + 'proof = "comitment"',
        'line 6: destination.proof: has to be one of "commitment", "find", "none"; did you mean \'commitment\'?',
    ),
    (
        "service",
        PACS + "[desk.proxy]\nrole = 'lok'\naddress = ['192.0.2.1']",
        'line 7: desk.proxy.role: has to be one of "look", "read", "act", "configure"; did you mean \'look\'?',
    ),
    # not TOML
    (
        "service",
        "[listener]\nae_title = SCANNER1",
        f"line 2: listener.ae_title: what stands behind = is no value: {QUOTES}",
    ),
    ("service", "[listener]\nhost = 192.0.2.10", f"line 2: listener.host: something stands behind the value: {QUOTES}"),
    ("service", "[listener]\nport 104", "line 2: a line is [a section], or a key, = and a value"),
    (
        "service",
        '[listener]\nhost = "127.0.0.1',
        "line 2: listener.host: a text that begins with a quote is not closed by one",
    ),
    ("service", "[listener\nport = 104", "line 1: [ is closed by ], and nothing else stands on that line"),
    (
        "service",
        "[alarms]\noff = [1\n",
        "line 2: alarms.off: a list that begins with [ is not closed by ], or a comma is missing in it",
    ),
    (
        "service",
        '[store]\nfolder = "C:\\data"',
        "line 2: store.folder: a backslash in double quotes is written \\\\; in single quotes it may stand alone",
    ),
    # a key or section twice
    ("service", "[listener]\nport = 104\nport = 105", "line 3: listener.port: this key is written twice"),
    ("service", "[exam]\n[listener]\n[exam]", "line 3: exam: [exam] is written twice; write it in one place"),
    (
        "service",
        "[destination]\n[destination]",
        "line 2: destination: where there are several, each begins with [[destination]], in two pairs of brackets",
    ),
    # the wrong kind of section
    (
        "scanners",
        '[phantom]\nname = "A"',
        "line 1: phantom: write [[phantom]], in two pairs of brackets, as there may be several",
    ),
    (
        "service",
        '[listener.caller]\nae_title = "A"',
        "line 1: listener.caller: write [[listener.caller]], in two pairs of brackets, as there may be several",
    ),
    (
        "service",
        "[[listener]]\nport = 104",
        "line 1: listener: write [listener], in one pair of brackets, as there is only one",
    ),
    (
        "service",
        "listener = 104",
        "line 1: listener: is a section of its own: it begins with [listener], and its keys stand below it",
    ),
    # what still has to be filled in
    (
        "precision",
        LSC.replace("in vivo study", "FILL IN"),
        'line 11: lsc.source: "FILL IN" still stands there; replace it',
    ),
    (
        "scanners",
        '[[phantom]]\nname = "fill in"\nregion = "L1-L4"\npatient_id = ["QC1"]',
        'line 2: phantom.name: "FILL IN" still stands there; replace it',
    ),
]


def _mistakes(folder: Path) -> tuple[str, ...]:
    with pytest.raises(SettingsError) as refused:
        load_configuration(folder)
    return refused.value.mistakes


@pytest.mark.parametrize(("part", "text", "told"), TABLE, ids=[told[:60] for _, _, told in TABLE])
def test_a_mistake_is_told_with_file_line_key_and_what_is_allowed(
    tmp_path: Path, part: str, text: str, told: str
) -> None:
    (tmp_path / f"{part}.toml").write_text(text)
    assert f"{part}.toml, {told}" in _mistakes(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("SERVICE__LISTENER__PORT", "x", ": listener.port: has to be a whole number from 1 to 65535"),
        ("SERVICE__LISTENER__CALLER", "SCANNER1", ": has to be a list in JSON, as '[…]'"),
        (
            "SERVICE__LISTENER__CALLER",
            "[{}]",
            ': listener.caller.ae_title: is missing; it has to be a text in quotes, as "text"',
        ),
        ("SERVICE__LISTENER", "{port: 5}", ": has to be an object in JSON, as '{…}'"),
        ("SERVICE__LISTENER__PRT", "5", ": listener.prt: there is no such key; did you mean 'port'?"),
        (
            "STORE__URL",
            "x",
            ": no part of the configuration is called 'store'; did you mean DXATREND_SERVICE__STORE__URL?",
        ),
    ],
)
def test_a_mistake_in_the_environment_names_its_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    (tmp_path / "service.toml").write_text("[listener]\nport = 104\n")
    monkeypatch.setenv(f"DXATREND_{name}", text)
    assert _mistakes(tmp_path) == (f"DXATREND_{name} (environment){told}",)


def test_all_mistakes_of_all_files_are_told_at_once_and_the_command_ends_with_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A line that is no TOML hides neither the next one nor a wrong value; what only follows from it is not told."""
    (tmp_path / "service.toml").write_text(
        "[listener]\nport = 0\nhost = nowhere\n[exam]\nlate_days = soon\n" + PACS.replace("104", "x")
    )
    (tmp_path / "scanners.toml").write_text("[phantom]\n")
    assert main(["check", "--config", str(tmp_path)]) == 2
    assert [line.partition(": ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "The configuration cannot be used:",
        "  scanners.toml, line 1",
        "  service.toml, line 2",
        "  service.toml, line 3",
        "  service.toml, line 5",
        "  service.toml, line 10",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may read less")
def test_a_file_that_may_not_be_read_says_so() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        Path(folder, "service.toml").touch(0o600)
        os.seteuid(65534)
        try:
            told = _mistakes(Path(folder))
        finally:
            os.seteuid(0)
    assert told == ("service.toml: it may not be read by the user who runs this; see its owner and mode (ls -l)",)


WRONG: tuple[Any, ...] = (-1, 10**12, "", "xyzzy", True, 1.5, [], [1], ["x"], {}, {"x": 1}, date(2026, 1, 1), time(5))
SECRET = "hunter2-sesame"


def _keys(section: type, above: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Key]]:
    for name, key in members(section).items():
        yield (*above, name), key
        for below in (key.entry or key).sections:
            yield from _keys(below, (*above, name))


def _whole(path: tuple[str, ...], value: object) -> dict[str, Any]:
    """A configuration with nothing but one value, wherever sections repeat in the first of them."""
    data: Any = value
    for depth in range(len(path) - 1, 0, -1):
        key = next(key for one, key in _keys(Settings) if one == path[:depth])
        data = {path[depth]: data}
        data = [data] if key.entry is not None and key.entry.sections else data
    return {path[0]: data}


def test_no_value_of_any_key_makes_a_message_that_is_not_ours() -> None:
    """Every key with every kind of wrong value: pydantic's words speak of Python, and may quote a secret."""
    told = set()
    for (path, _), value in itertools.product(_keys(Settings), (*WRONG, SECRET)):
        if len(path) > 1:
            data = _whole(path, value)
            try:
                Settings(**data)
            except ValidationError as error:
                told |= {(one.key, one.text) for one in mistakes_in(error, Settings, data)}
    assert len(told) > 300
    texts = {text for _, text in told if not text.endswith("names no region we know")}  # which is no secret
    for theirs in ("Input should", "Value error", "Field required", "valid ", "cannot be used", "pydantic", SECRET):
        assert not [text for text in texts if theirs in text], theirs


@pytest.mark.parametrize(
    "path",
    [ROOT / "pyproject.toml", *sorted(ROOT.glob("pipeline/**/*.toml")), *sorted(ROOT.glob("config/**/*.toml"))],
    ids=lambda path: path.name,
)
def test_the_line_of_every_key_is_found(path: Path) -> None:
    def paths(data: object, above: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
        pairs = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
        for step, below in pairs:
            yield (*above, step)
            yield from paths(below, (*above, step))

    text = path.read_text()
    lines = lines_of(text)
    assert set(lines) == set(paths(tomllib.loads(text)))
    written = text.splitlines()
    assert all(str(key[-1]) in written[line - 1] for key, line in lines.items() if isinstance(key[-1], str))


def test_lines_are_found_behind_every_kind_of_value() -> None:
    text = '''a = """one
"two" ]
"""
b = "x = [\\"" # = [
"c.d" = 1
e.f = [ # [
  1, [2,
  3],
]
g = { h = "}", i = [
1] }
[j.k]
l = 1979-05-27 07:32:00
[[m]]
[[m]]
n = true
[m.o]
p = 1
'''
    lines = lines_of(text)
    assert {key: lines[key] for key in [("b",), ("c.d",), ("e", "f", 1, 1), ("g", "i", 0), ("j", "k", "l")]} == {
        ("b",): 4,
        ("c.d",): 5,
        ("e", "f", 1, 1): 8,
        ("g", "i", 0): 11,
        ("j", "k", "l"): 13,
    }
    assert (lines[("m", 0)], lines[("m", 1)], lines[("m", 1, "n")], lines[("m", 1, "o", "p")]) == (14, 15, 16, 18)
