"""The log tells the same in every form: lines for people, JSON, and entries of systemd's journal."""

import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from dxatrend.cli.journal import JournalHandler
from dxatrend.cli.main import main
from pipeline.edge.configuration.log_format import LOG_FORMATS
from tests import peers
from tests.folders import ROOT

JOURNAL = Path("/run/systemd/journal/socket")

PROGRAM = """
import logging, sys, warnings
from dxatrend.cli import logging_setup
logging_setup.set_up({form})
import pydicom, pynetdicom
log = logging.getLogger("pipeline.edge.deliver.dispatcher")
log.info("delivered", extra={{"addendum": 5, "destination": "p\\u00e4cs", "patient": "ZZMARKED^NAME"}})
log.debug("not told")
try:
    int("ZZMARKED")
except ValueError:
    log.exception("could not read\\nit", extra={{"receipt": 7}})
for library in ("pydicom", "pynetdicom.acse", "PIL.PngImagePlugin", "prefect.flow_runs"):
    logging.getLogger(library).warning("ZZMARKED of a library")
logging.getLogger("pydicom").error("ZZMARKED of a library")
logging.getLogger("pynetdicom.dul").error("ZZMARKED of a PDU")
warnings.warn("ZZMARKED in a warning")
"""
"""Logs what may be logged, and what may not."""


def _lines(form: str | None, *, environment: Mapping[str, str] | None = None) -> list[str]:
    """What a program writes to standard error."""
    program = PROGRAM.format(form=repr(form))
    given = {**os.environ, **(environment or {})}
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT, env=given, timeout=120
    )
    assert ran.stdout == ""
    return ran.stderr.splitlines()


@pytest.fixture(scope="module")
def told() -> dict[str, list[str]]:
    """What the program writes in each form."""
    return {form: _lines(form) for form in LOG_FORMATS if form != "journal" or not JOURNAL.exists()}


def test_text_is_one_line_for_each_event_with_its_fields(told: dict[str, list[str]]) -> None:
    delivered, failed, library = told["text"]
    assert delivered.endswith("INFO     delivered addendum=5 destination=p\u00e4cs")
    assert "ERROR    could not read it (ValueError at" in failed
    assert failed.endswith(" receipt=7")
    assert "pydicom logged a message at" in library


def test_json_is_one_object_a_line_with_offset_level_logger_and_fields(told: dict[str, list[str]]) -> None:
    delivered, failed, library = (json.loads(line) for line in told["json"])
    at = datetime.fromisoformat(delivered.pop("time"))
    assert at.utcoffset() is not None
    assert delivered == {
        "level": "INFO",
        "logger": "pipeline.edge.deliver.dispatcher",
        "message": "delivered",
        "addendum": 5,
        "destination": "p\u00e4cs",
    }
    assert failed["exception"].startswith("ValueError at ")
    assert (failed["message"], failed["receipt"]) == ("could not read it", 7)
    assert (library["logger"], library["level"]) == ("pydicom", "ERROR")


def test_without_a_journal_its_entries_are_lines_with_the_priority_that_systemd_reads(
    told: dict[str, list[str]],
) -> None:
    if JOURNAL.exists():
        pytest.skip("this machine has a journal, which would get the entries of a test")
    delivered, failed, library = told["journal"]
    assert delivered == "<6>delivered addendum=5 destination=p\u00e4cs"
    assert failed.startswith("<3>could not read it (ValueError at")
    assert library.startswith("<3>pydicom logged a message at")


def test_no_form_quotes_a_patient_an_exception_or_a_library(told: dict[str, list[str]]) -> None:
    for form, lines in told.items():
        assert len(lines) == 3, form
        assert "ZZMARKED" not in "".join(lines), form


def test_the_form_comes_from_the_environment_and_the_command_line_overrules_it() -> None:
    assert json.loads(_lines(None, environment={"DXATREND_LOG_FORMAT": "json"})[0])["message"] == "delivered"
    assert "INFO     delivered" in _lines("text", environment={"DXATREND_LOG_FORMAT": "json"})[0]
    assert "INFO     delivered" in _lines(None, environment={"JOURNAL_STREAM": "1:2"})[0], "another stream's"


def test_every_command_takes_the_form_before_and_after_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DXATREND_LOG_FORMAT", "text")
    with pytest.raises(SystemExit):
        main(["--log-format", "xml", "status"])
    assert "--log-format: invalid choice: 'xml'" in capsys.readouterr().err
    for words in (["--log-format", "json", "check"], ["check", "--log-format", "json"]):
        assert main([*words, "--config", str(tmp_path / "absent")]) != 0
        assert os.environ["DXATREND_LOG_FORMAT"] == "json", "processes that it starts log alike"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that stands in for the journal's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as server:
        server.bind(str(tmp_path / "journal"))
        server.settimeout(10)
        yield server


def test_an_entry_of_the_journal_has_our_fields_and_no_time_of_its_own(journal: socket.socket) -> None:
    handler = JournalHandler(lambda record: {"receipt": 7, "detail": "a\nb"}, path=Path(journal.getsockname()))
    handler.emit(logging.LogRecord("pipeline.x", logging.WARNING, "x.py", 1, "held", (), None))
    entry = journal.recv(65536)
    assert entry == (
        b"MESSAGE=held\nPRIORITY=4\nSYSLOG_IDENTIFIER=dxatrend\nDXATREND_RECEIPT=7\n"
        b"DXATREND_DETAIL\n\x03\0\0\0\0\0\0\0a\nb\n"
    )
    handler.close()


IN_A_JOURNAL = """
mount -t tmpfs tmpfs /run
mkdir -p /run/systemd/journal /run/log/journal
/lib/systemd/systemd-journald < /dev/null > /dev/null 2>&1 &
journald=$!
for _ in $(seq 300); do [ -S /run/systemd/journal/socket ] && break; sleep 0.1; done
trap 'kill $journald' EXIT
as_a_unit='export JOURNAL_STREAM=$(stat --dereference --format=%d:%i /proc/$$/fd/2); exec "$@"'
systemd-cat --identifier=not-ours bash -c "$as_a_unit" bash "$1" -c "$2" || exit 1
for _ in $(seq 300); do
    journalctl --directory=/run/log/journal --output=json --no-pager SYSLOG_IDENTIFIER=dxatrend > "$3"
    [ "$(wc -l < "$3")" -ge 3 ] && break
    sleep 0.1
done
"""


def test_the_real_journal_of_systemd_takes_what_we_log_where_standard_error_goes_there(tmp_path: Path) -> None:
    """``systemd-cat`` connects standard error as systemd does for a unit; the journal is one of its own."""
    if os.geteuid() != 0 or not Path("/lib/systemd/systemd-journald").exists():
        peers.missing("systemd-journald, or the right to run one")
    found = tmp_path / "entries"
    script = ["unshare", "--mount", "--propagation", "private", "bash", "-c", IN_A_JOURNAL, "bash"]
    environment = {name: value for name, value in os.environ.items() if name != "DXATREND_LOG_FORMAT"}
    subprocess.run(
        [*script, sys.executable, PROGRAM.format(form=None), str(found)],
        check=True,
        cwd=ROOT,
        env=environment,
        timeout=200,
        capture_output=True,
    )
    delivered, failed, library = (json.loads(line) for line in found.read_text().splitlines())
    assert (delivered["MESSAGE"], delivered["PRIORITY"]) == ("delivered addendum=5 destination=p\u00e4cs", "6")
    assert (delivered["DXATREND_ADDENDUM"], delivered["DXATREND_DESTINATION"]) == ("5", "p\u00e4cs")
    assert (failed["PRIORITY"], failed["DXATREND_RECEIPT"]) == ("3", "7")
    assert failed["DXATREND_EXCEPTION"].startswith("ValueError at ")
    assert library["DXATREND_LOGGER"] == "pydicom"
    assert delivered["_TRANSPORT"] == "journal"
    ours = [{key: value for key, value in one.items() if key != "_CMDLINE"} for one in (delivered, failed, library)]
    assert "ZZMARKED" not in str(ours)
