"""The loop of a web server that has nothing to do: it looks once a second whether it is to end, not ten times.

A signal that ends it wakes it.
"""

import asyncio
import signal
import threading
from types import FrameType

import uvicorn
from uvicorn.server import HANDLED_SIGNALS

LOOK_SECONDS = 1
"""How old the date of an answer may be."""

_TICKS = 10
"""How many of its ticks the web server reckons to a second."""


async def main_loop(self: uvicorn.Server) -> None:
    """Renew the date of the answers every ``LOOK_SECONDS``, and return when it is time to end."""
    woken, loop = asyncio.Event(), asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        self.handle_exit(number, frame)
        loop.call_soon_threadsafe(woken.set)

    if threading.current_thread() is threading.main_thread():  # the web server puts back what was there before it
        for number in HANDLED_SIGNALS:
            signal.signal(number, handle)
    tick = 0
    while not await self.on_tick(tick):
        tick += _TICKS
        loop.call_later(LOOK_SECONDS, woken.set)
        await woken.wait()
        woken.clear()
