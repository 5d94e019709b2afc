"""``dxatrend listen`` and ``work``: the two processes of the service that may run on several machines."""

import argparse
import contextlib
import logging
import signal
import sys
from functools import partial

from dxatrend.cli.output import FAILURE, SUCCESS
from dxatrend.service import port_refusals, rest, systemd_notify
from dxatrend.service.memory import give_back_large_blocks, leave_what_is_loaded
from flows.prefect_environment import enter_client_environment
from flows.schedules import Schedules
from flows.shutdown import stop_on_signals
from pipeline.edge.app import App, open_app
from pipeline.edge.audit import events
from pipeline.edge.dicom_net.tls import TlsError
from pipeline.edge.heartbeat import Heartbeat, is_running_here
from pipeline.edge.live_configuration import LiveConfiguration
from pipeline.edge.operations.patient_feed import answer_message
from pipeline.edge.receive.listener import Listener
from pipeline.edge.receive.mllp_listener import MllpListener

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001
"""How long a thread of the listener may compute while another one waits for its turn.

Python's usual 0.005 s would be lost at each of the ten places where storing an object waits for something, beside
requests that take long to read.
"""


def listen(options: argparse.Namespace) -> int:
    """Run the listener until SIGTERM."""
    give_back_large_blocks()
    sys.setswitchinterval(SWITCH_SECONDS)
    stop = stop_on_signals()
    with open_app(options.config) as app:
        service = app.settings.service
        try:
            listener = Listener(
                service.listener, app.database, service.dicom_destinations, reserve_mb=service.store.reserve_mb
            )
        except (OSError, TlsError) as error:
            return _cannot(app, "listen", error, service.listener.port, key="listener")
        live = LiveConfiguration(app)
        signal.signal(signal.SIGHUP, live.on_signal)
        where = f"listening on {service.listener.host} port {service.listener.port}"
        with contextlib.closing(listener), contextlib.ExitStack() as feeds:
            try:
                feed = _patient_feed(app, feeds)
            except (OSError, TlsError) as error:
                return _cannot(app, "listen for HL7", error, service.adt.port or 0, key="adt")
            with (
                events.service_lifetime(app, "listener"),
                live.registered("listener"),
                systemd_notify.ready(where, is_alive=lambda: listener.is_alive and (feed is None or feed.is_alive)),
            ):
                leave_what_is_loaded()
                stop.wait()
    return SUCCESS


def _patient_feed(app: App, feeds: contextlib.ExitStack) -> MllpListener | None:
    """Listen for merges of patient ids until the end of the stack, where that is configured."""
    settings = app.settings.service.adt
    if settings.port is None:
        return None
    return feeds.enter_context(contextlib.closing(MllpListener(settings, partial(answer_message, app))))


def work(options: argparse.Namespace) -> int:
    """Run a worker until SIGTERM, or until it rests; fails where an unexpected error ended it."""
    give_back_large_blocks()
    enter_client_environment(options.config)
    from dxatrend.service.worker import Ending, run_worker  # noqa: PLC0415 - Prefect reads its settings at its import

    with open_app(options.config) as app:
        live = LiveConfiguration(app)
        signal.signal(signal.SIGHUP, live.on_signal)
        stop = stop_on_signals()
        with (
            events.service_lifetime(app, "worker", goes_on=rest.goes_on()) as lifetime,
            live.registered("worker") as registration,
            systemd_notify.ready("polls the queues"),
        ):
            schedules = Schedules(app.settings.service, goes_on=rest.goes_on()) if options.schedules else None
            ending = run_worker(lambda: live.app, stop, schedules=schedules, may_rest=rest.is_possible())
            lifetime.goes_on = registration.has_rested = ending is Ending.RESTED
            if ending is Ending.FAILED:
                registration.failure = "an unexpected error, which its log tells"
    return {Ending.STOPPED: SUCCESS, Ending.RESTED: rest.RESTED, Ending.FAILED: FAILURE}[ending]


def _cannot(app: App, do: str, error: OSError | TlsError, port: int, *, key: str) -> int:
    """Say why the listener cannot start: to the log, the supervisor, and the store unless another listener runs."""
    problem = f"{key}.{error}" if isinstance(error, TlsError) else port_refusals.why(error, port, key=key)
    reason = f"cannot {do}: {problem}"
    log.error("%s", reason)
    systemd_notify.cannot_start(reason)
    if not is_running_here(app.database, "listener"):
        Heartbeat(app.database, "listener").cannot_start(reason)
    return FAILURE
