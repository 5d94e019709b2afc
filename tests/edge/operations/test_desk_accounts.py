"""Accounts of the desk, and the delays between refused log-ins, in either kind of database."""

from datetime import UTC, datetime, timedelta

import pytest

from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import desk_accounts, desk_log_in
from pipeline.edge.operations.desk_accounts import AccountError
from pipeline.edge.operations.desk_log_in import LogInRefusedError
from pipeline.edge.store import desk_sessions
from pipeline.edge.store.database import Database

IDLE = timedelta(minutes=30)
NOW = datetime.now(UTC)
PASSWORD = "a long way to Tipperary"


def test_twenty_refused_names_from_one_address_make_that_address_wait(database: Database) -> None:
    desk_accounts.add(database, "mary", Role.READ, PASSWORD)
    waits = []
    for number in range(25):
        with pytest.raises(LogInRefusedError) as refused:
            desk_log_in.log_in(database, f"name{number}", "wrong", host="192.0.2.7", idle=IDLE)
        waits.append(refused.value.due_again is not None)
    assert waits[:19] == [False] * 19
    assert any(waits[19:])
    assert desk_log_in.log_in(database, "mary", PASSWORD, host="192.0.2.8", idle=IDLE).secret


@pytest.mark.parametrize("password", ["too short", "a" * 12, "mary12345678", "x" * 257], ids=len)
def test_a_password_that_is_easily_guessed_is_refused(database: Database, password: str) -> None:
    with pytest.raises(AccountError):
        desk_accounts.add(database, "mary", Role.READ, password)


@pytest.mark.parametrize("name", ["", "Mary", "mary smith", "<script>", "m\u202eyram", "x" * 65, "-mary"])
def test_a_name_that_could_mislead_is_refused(database: Database, name: str) -> None:
    with pytest.raises(AccountError):
        desk_accounts.add(database, name, Role.READ, PASSWORD)


def test_no_two_accounts_have_one_name(database: Database) -> None:
    desk_accounts.add(database, "mary", Role.READ, PASSWORD)
    with pytest.raises(AccountError, match="already"):
        desk_accounts.add(database, "mary", Role.CONFIGURE, PASSWORD)


def test_a_session_of_a_removed_account_is_gone(database: Database) -> None:
    desk_accounts.add(database, "mary", Role.READ, PASSWORD)
    token = desk_log_in.log_in(database, "mary", PASSWORD, host="192.0.2.7", idle=IDLE)
    with database.read() as connection:
        assert desk_sessions.find(connection, token.digest, idle=IDLE, at=datetime.now(UTC)) is not None
    desk_accounts.remove(database, "mary")
    with database.read() as connection:
        assert desk_sessions.find(connection, token.digest, idle=IDLE, at=datetime.now(UTC)) is None


@pytest.mark.parametrize("change", ["set_password", "set_role", "remove"])
def test_an_account_that_is_not_there_cannot_be_changed(database: Database, change: str) -> None:
    arguments = {"set_password": ("a third way to Tipperary",), "set_role": (Role.ACT,), "remove": ()}[change]
    with pytest.raises(AccountError, match="there is no account mary"):
        getattr(desk_accounts, change)(database, "mary", *arguments)


def test_each_further_refused_log_in_doubles_the_wait_up_to_a_quarter_of_an_hour(database: Database) -> None:
    waits = []
    for _ in range(20):
        with database.write() as connection:
            desk_sessions.count_failure(connection, "0" * 64, free=5, longest=desk_log_in.LONGEST_WAIT, at=NOW)
            due = desk_sessions.due_again(connection, ["0" * 64])
            assert due is not None
            waits.append((due - NOW).total_seconds())
    assert waits[:9] == [0, 0, 0, 0, 1, 2, 4, 8, 16]
    assert waits[-1] == 900


def test_a_wait_from_before_the_clock_was_set_back_is_no_wait(database: Database) -> None:
    desk_accounts.add(database, "mary", Role.READ, PASSWORD)
    with database.write() as connection:
        for _ in range(9):
            digest = desk_sessions.digest_of_name("mary")
            tomorrow = NOW + timedelta(days=1)
            desk_sessions.count_failure(connection, digest, free=5, longest=desk_log_in.LONGEST_WAIT, at=tomorrow)
    assert desk_log_in.log_in(database, "mary", PASSWORD, host="192.0.2.7", idle=IDLE).secret


def test_a_name_that_no_database_can_look_for_is_a_wrong_one(database: Database) -> None:
    with pytest.raises(LogInRefusedError):
        desk_log_in.log_in(database, "ma\0ry", PASSWORD, host="192.0.2.7", idle=IDLE)
