"""What the log says of the Prefect server: each change once, and nothing while both of us start."""

import pytest

from flows import prefect_runner
from flows.prefect_runner import ServerState, StateLog


def test_a_server_that_is_still_starting_is_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    state_log = StateLog()
    for state in (ServerState.SILENT, ServerState.SILENT, ServerState.OURS, ServerState.OURS):
        state_log.tell(state)
    assert caplog.messages == ["the Prefect server answers"]
    state_log.tell(ServerState.SILENT)
    assert caplog.messages[1:] == ["the Prefect server does not answer; the work goes on without it"]


def test_a_server_that_never_answers_is_told_once_it_should_have_started(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    state_log = StateLog()
    state_log.tell(ServerState.SILENT)
    assert caplog.messages == []
    monkeypatch.setattr(prefect_runner, "_START_SECONDS", 0.0)
    state_log.tell(ServerState.SILENT)
    state_log.tell(ServerState.SILENT)
    assert caplog.messages == ["the Prefect server does not answer; the work goes on without it"]


def test_one_that_cannot_be_used_is_told_at_once(caplog: pytest.LogCaptureFixture) -> None:
    StateLog().tell(ServerState.REJECTS_US)
    assert caplog.messages == ["the Prefect server rejects our password; the work goes on without it"]
