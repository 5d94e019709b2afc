"""Run work under Prefect while a server of ours answers, and without it otherwise.

Prefect orchestrates, the database remembers: a run shows what was done and when, but nothing waits in Prefect. When its
server cannot be reached, or is open to strangers, the same functions run without it and the log says so.
"""

import base64
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from enum import StrEnum

import httpx

from flows.port_owner import Owner
from flows.prefect_password import UnusablePasswordError, read_password
from flows.runtime import api_url, port
from pipeline.edge.configuration.service_settings import PrefectSettings
from pipeline.edge.disk_space import prefect_disk_reserve

log = logging.getLogger(__name__)

TAG = "dxatrend"
"""Which runs and deployments of a Prefect server are ours."""

_PROBE_SECONDS = 2.0

_TURN = threading.Lock()
_TURN_SECONDS = 0.5


class Answer(StrEnum):
    """What a Prefect server answers to us, as the log and ``check`` tell it."""

    OURS = "answers"
    NONE = "does not answer"
    OPEN = "answers without a password, so that whoever reaches it can start commands of their own"
    TAKEN = "is not asked, as another program has taken prefect.port"
    STRANGE = "does not take our password"
    NO_PASSWORD = "asks for a password, and prefect.password_file cannot be used"

    @property
    def is_wrong(self) -> bool:
        """Whether it is there, and yet of no use to us: waiting mends nothing."""
        return self not in (Answer.OURS, Answer.NONE)


def prefect_answer(settings: PrefectSettings) -> Answer:
    """What the Prefect server answers now."""
    with httpx.Client(timeout=_PROBE_SECONDS, trust_env=False) as client:
        answer, _ = ask_prefect(settings, client)
    return answer


def ask_prefect(settings: PrefectSettings, client: httpx.Client) -> tuple[Answer, str]:
    """Whether a Prefect server is there that takes our password, and nobody without; and the password, if so."""
    version = f"{api_url(settings)}/admin/version"
    owner = port(settings).owner() if settings.api_url is None else Owner.OURS
    if owner is not Owner.OURS:
        return (Answer.TAKEN if owner is Owner.ANOTHER else Answer.NONE), ""
    try:
        if client.get(version).status_code != httpx.codes.UNAUTHORIZED:
            return Answer.OPEN, ""
        password = read_password(settings)
        credentials = base64.b64encode(password.encode("ascii")).decode("ascii")
        answer = client.get(version, headers={"Authorization": f"Basic {credentials}"})
    except UnusablePasswordError:
        return Answer.NO_PASSWORD, ""
    except httpx.HTTPError:
        return Answer.NONE, ""
    return (Answer.OURS, password) if answer.is_success else (Answer.STRANGE, "")


class Orchestration:
    """Runs work under Prefect while its server answers, and without it otherwise."""

    def __init__(self, settings: PrefectSettings) -> None:
        self._prefect = settings
        self._client = httpx.Client(timeout=_PROBE_SECONDS, trust_env=False)
        self._room = prefect_disk_reserve(settings)
        self._settings, self._has_settings = ExitStack(), False
        self._was_short = False
        self._last_answer: Answer | None = None

    def run(self, flow: Callable[[], object], plain: Callable[[], object], requeue: Callable[[], None]) -> None:
        """Run the flow; where Prefect fails, give back what the flow had claimed and do the same work plainly."""
        if self.is_there() and self._has_disk_space():
            # Importing Prefect takes longer than all of our own start: not before it is of use.
            from prefect import tags  # noqa: PLC0415

            try:
                self._do_without_heartbeat()
                with _turn(), tags(TAG):
                    flow()
                return
            except Exception as error:  # noqa: BLE001 - the work itself does not raise: this is Prefect's own trouble
                log.warning("a Prefect run failed (%s); the work goes on without it", type(error).__name__)
                requeue()
        plain()

    def wait_for_server(self) -> None:
        """Return when the server answers."""
        while not self.is_there():
            time.sleep(1)

    def close(self) -> None:
        """Give the connection back, in the thread that has run the flows."""
        self._client.close()
        self._settings.close()

    def _do_without_heartbeat(self) -> None:
        """Ending the heartbeat's thread takes a second, six times what a run takes; to say so takes 50 ms, so once."""
        if not self._has_settings:
            from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings  # noqa: PLC0415

            self._settings.enter_context(temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}))
            self._has_settings = True

    def _has_disk_space(self) -> bool:
        """Whether Prefect's database may grow; the log tells when that changes."""
        short = self._room.is_short()
        if short != self._was_short:
            told = "is nearly full; the work goes on without it" if short else "has room again"
            log.log(logging.WARNING if short else logging.INFO, "the disk of the Prefect server %s", told)
        self._was_short = short
        return not short

    def is_there(self) -> bool:
        """Whether the server answers, to us alone; the log tells when that changes."""
        answer, password = ask_prefect(self._prefect, self._client)
        there = answer is Answer.OURS
        if there:
            os.environ["PREFECT_API_AUTH_STRING"] = password  # Prefect reads it when it is first imported
        if answer is not self._last_answer:
            log.log(
                logging.INFO if there else logging.WARNING,
                "the Prefect server %s%s",
                answer,
                "" if there else "; the work goes on without it",
            )
        self._last_answer = answer
        return there


@contextmanager
def _turn() -> Iterator[None]:
    """Let one run begin after the other: two at once make Prefect's SQLite refuse one, which then waits for seconds.

    A run that takes long, because an archive is silent, holds up no other.
    """
    mine = _TURN.acquire(timeout=_TURN_SECONDS)
    try:
        yield
    finally:
        if mine:
            _TURN.release()
