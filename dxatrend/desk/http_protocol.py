"""HTTP protocol of the desk: a connection is closed when no complete request comes in time."""

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 30.0
"""For how long a connection may be without a complete request. uvicorn itself waits for ever for the first one."""


class ImpatientProtocol(H11Protocol):
    """One connection, closed when the head of a request does not come to its end in time."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request."""
        super().connection_made(transport)
        self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_nothing_is_asked)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _close_if_nothing_is_asked(self) -> None:
        is_answered = getattr(self.cycle, "response_complete", True)  # there is no cycle before the first request
        if is_answered and self.timeout_keep_alive_task is None:
            self.transport.close()
        else:
            self._timer = self.loop.call_later(HEAD_SECONDS, self._close_if_nothing_is_asked)
