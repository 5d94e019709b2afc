"""A web server at rest hardly ever wakes, and still ends at once when it is told to."""

import signal
import subprocess
import sys

import httpx
import pytest

from tests import peers
from tests.folders import ROOT

SERVER = """
import sys, uvicorn
from flows import web_server_at_rest

async def hello(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"hello"})

web_server_at_rest.LOOK_SECONDS = 3600
uvicorn.Server.main_loop = web_server_at_rest.main_loop
uvicorn.run(hello, port=int(sys.argv[1]), lifespan="off", log_level="error")
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_wakes_a_server_that_sleeps_for_an_hour_and_ends_it(number: signal.Signals) -> None:
    port = peers.free_port()
    with subprocess.Popen([sys.executable, "-c", SERVER, str(port)], cwd=ROOT, stderr=subprocess.DEVNULL) as server:
        try:
            peers.wait_until(lambda: _greeting(port) == "hello", what="the server answers")
            server.send_signal(number)
            server.wait(30)
        finally:
            server.kill()


def _greeting(port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{port}", trust_env=False).text
    except httpx.TransportError:
        return ""
