"""What is shown of a rejected caller lets it in when it is copied, whatever the caller has sent."""

import tomllib
from dataclasses import replace
from datetime import timedelta

import pytest

from pipeline.edge.configuration.service_settings import CallerSettings, ListenerSettings
from pipeline.edge.overview.rejected_callers import SHOWN_FOR, CallerToAdmit, callers_to_admit
from pipeline.edge.store import rejected_callers
from pipeline.edge.store.database import Database
from pipeline.edge.store.rejected_callers import RejectedCaller, RejectedFor
from tests.factories.instances import NOW

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)

SCANNER = RejectedCaller(
    calling_ae_title="SCANNER7",
    host="192.0.2.17",
    called_ae_title="DXATREND",
    reason=RejectedFor.NOT_CONFIGURED,
    times=1,
    first_at=NOW,
    last_at=NOW,
)


def _shown(database: Database, listener: ListenerSettings, *callers: RejectedCaller) -> list[CallerToAdmit]:
    with database.write() as connection:
        rejected_callers.record(connection, callers)
    with database.read() as connection:
        return callers_to_admit(connection, listener, at=NOW)


@pytest.mark.parametrize("title", ["SCANNER7", 'SCAN"7', "a b", "<script>"])
def test_the_lines_shown_are_settings_that_let_the_caller_in(database: Database, title: str) -> None:
    caller = replace(SCANNER, calling_ae_title=title)
    (shown,) = _shown(database, ListenerSettings(), caller)
    read = tomllib.loads("\n".join(shown.lines))
    listener = ListenerSettings(**read["listener"])
    (allowed,) = listener.caller
    assert (allowed.ae_title, allowed.host) == (title, "192.0.2.17")
    (shown,) = _shown(database, listener)
    assert shown.is_admitted
    assert not shown.lines


@pytest.mark.parametrize("title", ["", "back\\slash", "\x1b[2J", "\\xff\\xfe"])
def test_what_is_no_ae_title_gets_no_lines(database: Database, title: str) -> None:
    (shown,) = _shown(database, ListenerSettings(), replace(SCANNER, calling_ae_title=title))
    assert not shown.lines
    assert "no AE title" in shown.advice


def test_a_scanner_that_has_moved_gets_the_line_to_change(database: Database) -> None:
    listener = ListenerSettings(caller=(CallerSettings(ae_title="SCANNER7", host="192.0.2.10"),))
    (shown,) = _shown(database, listener, SCANNER)
    assert shown.lines == ('host = "192.0.2.17"',)
    assert "192.0.2.10" in shown.advice


def test_a_wrong_called_title_is_to_be_corrected_at_the_device_which_may_need_lines_as_well(database: Database) -> None:
    wrong = replace(SCANNER, called_ae_title="DXA", reason=RejectedFor.OTHER_CALLED)
    (shown,) = _shown(database, ListenerSettings(), wrong)
    assert "change the AE title that it calls to DXATREND" in shown.advice
    assert shown.lines[0] == "[[listener.caller]]"
    (shown,) = _shown(database, ListenerSettings(caller=(CallerSettings(ae_title="SCANNER7"),)))
    assert "change the AE title that it calls to DXATREND" in shown.advice
    assert not shown.lines
    assert not shown.is_admitted


def test_those_still_rejected_come_first_and_old_ones_not_at_all(database: Database) -> None:
    listener = ListenerSettings(caller=(CallerSettings(ae_title="KNOWN"),))
    known = replace(SCANNER, calling_ae_title="KNOWN", last_at=NOW)
    unknown = replace(SCANNER, last_at=NOW - timedelta(days=1))
    old = replace(SCANNER, calling_ae_title="OLD", last_at=NOW - SHOWN_FOR - timedelta(minutes=1))
    shown = _shown(database, listener, known, unknown, old)
    assert [one.caller.calling_ae_title for one in shown] == ["SCANNER7", "KNOWN"]


def test_another_certificate_is_no_matter_of_lines(database: Database) -> None:
    listener = ListenerSettings(caller=(CallerSettings(ae_title="SCANNER7"),))
    (shown,) = _shown(database, listener, replace(SCANNER, reason=RejectedFor.OTHER_CERTIFICATE))
    assert "certificate" in shown.advice
    assert not shown.lines
    assert not shown.is_admitted
