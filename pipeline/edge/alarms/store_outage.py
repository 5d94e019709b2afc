"""Tell of a database that does not answer: it holds the alarms' states and messages, so this goes without it.

Its state is in the memory of one process, the monitor. A message that cannot be sent is tried again at the next look.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime

from pipeline.edge.alarm_kinds import KINDS
from pipeline.edge.alarms import wording
from pipeline.edge.alarms.state_machine import Alarm, Line, News, hold_off
from pipeline.edge.alarms.watch import rules_of
from pipeline.edge.alarms.ways_out import NotSentError, ways_out
from pipeline.edge.configuration.service_settings import ServiceSettings

log = logging.getLogger(__name__)

KIND = "store_away"


class StoreOutage:
    """Notices that the database does not answer, and tells of it and of its end."""

    def __init__(self, service: ServiceSettings, *, clock: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._service = service
        self._rules = rules_of(service)
        self._ways = ways_out(service.alarms)
        self._clock = clock
        self._since: datetime | None = None
        self._detail = ""
        self._told: set[str] = set()

    def failed(self, problem: str) -> None:
        """Take note that the database did not answer, and tell of it once its hold-off is over."""
        now = self._clock()
        self._detail = problem
        if self._since is None:
            self._since = now
        if KIND not in self._rules.off and now - self._since >= hold_off(KINDS[KIND], self._rules):
            self._tell(News.RAISED, set(self._ways) - self._told)

    def works(self) -> None:
        """Take note that the database answers, and tell of it where its outage was told."""
        if self._since is None:
            return
        self._tell(News.OVER, set(self._told))
        if not self._told:
            self._since = None

    def _tell(self, news: News, ways: set[str]) -> None:
        now = self._clock()
        assert self._since is not None  # there is an outage to tell of
        alarm = Alarm(
            kind=KIND,
            subject="",
            since=self._since,
            detail=self._detail,
            observed_at=self._since,
            gone_at=now if news is News.OVER else None,
        )
        content = wording.content([Line(news, alarm)], now, self._service.alarms, self._rules.calendar)
        for way in sorted(ways):
            try:
                self._ways[way](content, f"dxatrend-store-{self._since:%Y%m%d%H%M%S%f}-{news.value}")
            except NotSentError as problem:
                log.warning("a message of the alarms is not out: %s", problem, extra={"destination": way})
                continue
            if news is News.OVER:
                self._told.discard(way)
            else:
                self._told.add(way)
