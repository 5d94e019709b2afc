"""Conditions in a real store become alarms, and messages that reach a real mail server and a real web server."""

from datetime import timedelta
from pathlib import Path

from tests.factories.watched import watched

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def test_a_service_where_nothing_is_wrong_raises_nothing(tmp_path: Path):
    with watched(tmp_path) as department:
        department.pass_time(10 * MINUTE)
        assert department.raised() == []


def test_a_service_without_listener_and_worker_is_told_after_five_minutes(tmp_path: Path):
    with watched(tmp_path, parts=False) as department:
        department.pass_time(4 * MINUTE)
        assert department.raised() == []
        department.pass_time(3 * MINUTE)
        assert department.raised() == [("no_listener", ""), ("no_worker", "")]
