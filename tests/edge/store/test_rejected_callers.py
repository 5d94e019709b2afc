"""Rejected callers are counted, and nothing that a device makes up can fill the store or hide another device."""

from dataclasses import replace
from datetime import timedelta

from pipeline.edge.store import rejected_callers
from pipeline.edge.store.database import Database
from pipeline.edge.store.rejected_callers import LONGEST_TEXT, MOST_OF_ONE_HOST, MOST_ROWS, RejectedCaller, RejectedFor
from tests.factories.instances import NOW

SCANNER = RejectedCaller(
    calling_ae_title="SCANNER7",
    host="192.0.2.17",
    called_ae_title="DXATREND",
    reason=RejectedFor.NOT_CONFIGURED,
    times=1,
    first_at=NOW,
    last_at=NOW,
)


def _record(database: Database, *callers: RejectedCaller) -> list[RejectedCaller]:
    with database.write() as connection:
        rejected_callers.record(connection, callers)
    with database.read() as connection:
        return rejected_callers.all_of_them(connection)


def test_a_caller_is_one_row_with_the_first_time_the_last_time_and_the_last_reason(database: Database) -> None:
    later = replace(
        SCANNER,
        reason=RejectedFor.OTHER_CERTIFICATE,
        times=3,
        first_at=NOW + timedelta(hours=1),
        last_at=NOW + timedelta(hours=2),
    )
    _record(database, SCANNER)
    assert _record(database, later) == [replace(later, times=4, first_at=NOW)]


def test_a_host_that_makes_up_titles_hides_no_other_and_fills_nothing(database: Database) -> None:
    made_up = [
        replace(SCANNER, calling_ae_title=f"T{number}", host="192.0.2.66", last_at=NOW + timedelta(seconds=number))
        for number in range(3 * MOST_OF_ONE_HOST)
    ]
    _record(database, SCANNER)
    found = _record(database, *made_up)
    assert len(found) == MOST_OF_ONE_HOST + 1
    assert SCANNER in found
    assert found[0].calling_ae_title == f"T{3 * MOST_OF_ONE_HOST - 1}", "the latest stay"


def test_however_many_hosts_there_are_the_rows_are_bounded(database: Database) -> None:
    hosts = [
        replace(SCANNER, host=f"192.0.2.{number}", last_at=NOW + timedelta(seconds=number))
        for number in range(MOST_ROWS + 20)
    ]
    found = _record(database, *hosts)
    assert len(found) == MOST_ROWS
    assert found[0].host == f"192.0.2.{MOST_ROWS + 19}"


def test_titles_of_any_bytes_and_length_are_stored_up_to_a_bound(database: Database) -> None:
    hostile = replace(SCANNER, calling_ae_title="<script>\0\x1b[2J\n" + "x" * 1000, called_ae_title="\\xff" * 100)
    (found,) = _record(database, hostile)
    assert found.calling_ae_title.startswith("<script>\x1b[2J\nx")
    assert len(found.calling_ae_title) == len(found.called_ae_title) == LONGEST_TEXT
    (again,) = _record(database, hostile)
    assert again.times == 2, "it is found again under the text that was kept"


def test_a_caller_that_is_admitted_is_forgotten_at_its_address_only(database: Database) -> None:
    elsewhere = replace(SCANNER, host="192.0.2.18")
    _record(database, SCANNER, replace(SCANNER, called_ae_title="OTHER"), elsewhere)
    with database.write() as connection:
        rejected_callers.forget(connection, [("SCANNER7", "192.0.2.17")])
    assert _record(database) == [elsewhere]
