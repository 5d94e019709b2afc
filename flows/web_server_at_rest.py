"""The loop of a web server that has nothing to do: it looks twice a second whether it is to end, not ten times."""

import asyncio

import uvicorn

_TICKS = 10
"""How many of its ticks the web server reckons to a second."""


async def main_loop(self: uvicorn.Server) -> None:
    """Renew the date of the answers every second, and return when it is time to end."""
    tick = 0
    while not await self.on_tick(tick):
        tick += _TICKS // 2
        await asyncio.sleep(0.5)
