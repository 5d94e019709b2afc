"""What can a person, or a unit file, tell dxatrend to do?

Every command exits with 0 only on success, and with 2 when the configuration cannot be used.
"""

import argparse
import contextlib
import dataclasses
import json
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from dxatrend.cli import audit as audit_commands
from dxatrend.cli import backup, clinical_context, history, logging_setup
from dxatrend.cli.output import cell, print_table
from dxatrend.service.memory import give_back_large_blocks
from flows import runtime
from flows.prefect_password import UnusablePasswordError
from flows.prefect_runner import Orchestration, prefect_answer
from flows.shutdown import Stop
from pipeline import __version__
from pipeline.clinical.model import LeastSignificantChange
from pipeline.clinical.precision import doubts, running_out
from pipeline.edge import app as houses
from pipeline.edge.app import App
from pipeline.edge.audit import events
from pipeline.edge.configuration.dialects import DialectInForce, Origin, dialects_in_force
from pipeline.edge.configuration.loading import SYSTEM_FOLDER, SettingsError, load_configuration
from pipeline.edge.configuration.service_settings import ListenerSettings, PrefectSettings
from pipeline.edge.dicom_net.client import PeerUnavailableError, echo
from pipeline.edge.dicom_net.tls import TlsError, for_calling, for_listener
from pipeline.edge.disk_space import disk_reserve_of, prefect_disk_reserve
from pipeline.edge.live_configuration import LiveConfiguration, OtherConfigurationError, outdated, require_current
from pipeline.edge.receive.listener import Listener
from pipeline.edge.store import audit_trail, exams, outbox, processes, senders, service_status, work_queue
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.database import StoreError, StoreInUseError, StoreMissingError, StoreTooNewError
from pipeline.edge.store.processes import LiveProcess
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.schema import exam as exam_table
from pipeline.edge.store.senders import NewSender
from pipeline.edge.text_files import printable

log = logging.getLogger(__name__)

FAILURE = 1
UNUSABLE_CONFIGURATION = 2

RELOAD_SECONDS = 30
"""How long the parts of the service may take to read their configuration anew."""

FORCE = "even if the service works with another configuration"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    logging_setup.escape_what_cannot_be_printed()  # first: a refused argument is printed as well
    options = _parser().parse_args(arguments)
    logging_setup.to_standard_error()
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        return command(options)
    except SettingsError as error:
        print("The configuration cannot be used:", *error.mistakes, sep="\n  ", file=sys.stderr)
        return UNUSABLE_CONFIGURATION
    except StoreError as failure:
        print(f"The database could not be asked: {printable(failure)}", file=sys.stderr)
        return FAILURE
    except StoreMissingError as missing:
        print(f"There is no store at {printable(missing)}; the service makes one when it first starts", file=sys.stderr)
        return FAILURE
    except StoreInUseError:
        print("Another process works with the store; stop the service, or wait for the restore to end", file=sys.stderr)
        return FAILURE
    except OtherConfigurationError as other:
        print(other, "Nothing was done; --force does it all the same.", sep="\n", file=sys.stderr)
        return FAILURE
    except StoreTooNewError:
        print("The store is of a later version of dxatrend: install that one", file=sys.stderr)
        return FAILURE
    except UnusablePasswordError as unusable:
        print(unusable, file=sys.stderr)
        return FAILURE
    except BrokenPipeError:  # whoever read our output has seen enough
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - the interpreter flushes it as it ends
        return FAILURE
    except OSError as error:  # a file or folder that may not be read or written
        print(f"{printable(error.filename or 'a file')}: {error.strerror or 'cannot be used'}", file=sys.stderr)
        return FAILURE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="dxatrend", description="Serial bone densitometry over DICOM.")
    config: dict[str, Any] = {
        "type": Path,
        "metavar": "DIR",
        "help": f"the configuration folder (default: {runtime.CONFIG_VARIABLE}, else {SYSTEM_FOLDER}, else config)",
    }
    parser.add_argument("--config", default=_usual_folder(), **config)
    parser.add_argument("--version", action="version", version=f"dxatrend {__version__}")
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    def command(
        name: str, run: Callable[[argparse.Namespace], int], says: str, *, writes: bool = False
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=says, description=says)
        if writes:
            added.add_argument("--force", action="store_true", help=FORCE)
        added.add_argument("--config", default=argparse.SUPPRESS, **config)  # before or after the command
        added.set_defaults(run=run)
        return added

    command("demo", _demo, "Play the sample patients through the real thing on loopback, and print each addendum.")
    command("serve", _serve, "Everything one machine needs: listener, worker, Prefect server and schedules.")
    command("listen", _listen, "Only take reports from the scanners.")
    command("work", _work, "Only read, follow up and deliver what has been received.")
    command("prefect", _prefect, "Only the Prefect server, where it serves several machines.")
    command("schedules", _schedules, "Only start scheduled Prefect runs.")
    command("deploy", _deploy, "Register the scheduled runs with the work pool dxatrend of the Prefect server.")
    command("reload", _reload, "Have the running service read its clinical configuration anew, all or nothing.")
    command("check", _check, "List every mistake in the configuration, and ask each destination whether it is there.")
    for name, run, says in (
        ("status", _status, "Received, waiting, delivered, held; per scanner and destination."),
        ("held", _held, "What waits for a person, and why."),
    ):
        command(name, run, says).add_argument("--json", action="store_true", help="print JSON")
    release = command("release", _release, "Try held work again, or now what waits for a destination.", writes=True)
    release.add_argument(
        "number",
        metavar="N|NAME",
        help="as printed by held: 12 a receipt, E12 an exam, D12 a delivery, C12 a commitment, Q12 a question to an"
        " archive; or a destination's name",
    )
    precision = command("precision", _precision, "Evaluate a precision study and print its entries for precision.toml.")
    precision.add_argument(
        "file", type=Path, metavar="FILE.csv", help="columns patient, scan, region, bmd, technologist, date"
    )
    precision.add_argument("--serial-number", type=_text, help="the scanner's, as in scanners.toml")
    precision.add_argument("--valid-from", type=date.fromisoformat, metavar="DATE", help="default: today")
    precision.add_argument("--valid-until", type=date.fromisoformat, metavar="DATE", help="default: in five years")
    precision.add_argument("--source", type=_text, help="what the addendum says of the study")
    context = command("context", _context, "What no report carries: therapy, fractures, menopause, and the like.")
    verbs = context.add_subparsers(dest="verb", metavar="load|show", required=True)
    load = verbs.add_parser("load", help="bring in a table; the patients' exams become due again")
    load.add_argument("file", type=Path, metavar="FILE.csv", help="docs/operations.md lists the columns")
    load.add_argument("--force", action="store_true", help=FORCE)
    told = verbs.add_parser("show", help="print what is on file about a patient")
    for verb in (load, told):
        verb.add_argument("--config", default=argparse.SUPPRESS, **config)
    told.add_argument("patient_id", type=_text)
    told.add_argument("--issuer", type=_text, default="", help="Issuer of Patient ID (0010,0021)")
    copy = command("backup", backup.backup, "Copy the store into one file; the service may run.")
    copy.add_argument("file", type=Path, metavar="FILE", help="a new file; it will hold patient data")
    restore = command("restore", backup.restore_backup, "Make the store what a backup was; no service may run.")
    restore.add_argument("file", type=Path, metavar="FILE", help="made by dxatrend backup, from either kind of store")
    restore.add_argument("--replace", action="store_true", help="even if the store is not empty")
    trail_of = command("audit", _audit, "Who sent, compared, delivered, released what, and how that is known.")
    trail_of.add_argument("--patient", type=_text, metavar="ID", help="only what concerns this patient")
    trail_of.add_argument("--issuer", type=_text, default="", help="Issuer of Patient ID (0010,0021)")
    trail_of.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="only from this day on")
    trail_of.add_argument("--json", action="store_true", help="print JSON")
    trail_of.add_argument("--verify", action="store_true", help="only see whether anybody has changed it")
    again = command("reprocess", _reprocess, "Examine again what rests on something that has changed.", writes=True)
    again.add_argument("--patient", type=_text, metavar="ID", help="only this patient's exams")
    again.add_argument("--issuer", type=_text, help="Issuer of Patient ID (0010,0021) of that patient")
    again.add_argument("--since", type=date.fromisoformat, metavar="DATE", help="only exams from this day on")
    again.add_argument(
        "--scanner", type=_text, metavar="SERIAL", help="only exams on the scanner with this serial number"
    )
    again.add_argument("--dry-run", action="store_true", help="print which addenda would differ, and how")
    again.add_argument("--json", action="store_true", help="print JSON")
    loaded = command("load", _load, "Bring an archive of files in as history; nothing of it is delivered.", writes=True)
    loaded.add_argument("folder", type=Path, metavar="DIR", help="DICOM files, in any folders below it")
    loaded.add_argument("--deliver", action="store_true", help="answer them as if scanners had sent them")
    fetched = command("fetch", _fetch, "Ask the archives for a patient's earlier reports, as history.", writes=True)
    fetched.add_argument("patient", type=_text, metavar="PATIENT", help="the patient's id")
    fetched.add_argument("--issuer", type=_text, default="", help="Issuer of Patient ID (0010,0021)")
    confirm = command("confirm", _confirm, "Say that a caller new to a scanner may send its reports.", writes=True)
    confirm.add_argument("number", type=int, metavar="N", help="as printed by status")
    merge = command("merge", _merge, "Count one patient's exams as another one's from now on.", writes=True)
    merge.add_argument("old", type=_text, metavar="OLD", help="the patient id that is no longer used")
    merge.add_argument("new", type=_text, metavar="NEW", help="the patient id that it has become")
    merge.add_argument("--old-issuer", type=_text, default="", help="Issuer of Patient ID (0010,0021) of OLD")
    merge.add_argument("--new-issuer", type=_text, default="", help="Issuer of Patient ID (0010,0021) of NEW")
    merge.add_argument("--undo", action="store_true", help="they are two patients after all")
    withdraw = command(
        "withdraw", _withdraw, "Take an exam out of every comparison, and supersede its addendum.", writes=True
    )
    withdraw.add_argument("exam", metavar="E12", help="the exam, as held, show and audit print it")
    withdraw.add_argument("--reason", type=_text, default="", metavar="TEXT", help="why; the addendum quotes it")
    withdraw.add_argument("--undo", action="store_true", help="it counts after all, with reports that were rejected")
    split = command("split", _split, "Make an exam of each visit where one study was used for several.", writes=True)
    split.add_argument("exam", metavar="E12", help="the exam, as held prints it")
    show = command("show", _show, "A report as an outline, the exam we see in it, and what we would say.")
    show.add_argument("report", metavar="FILE|N", help="a DICOM file, or the number of a receipt")
    return parser


@contextlib.contextmanager
def _store(options: argparse.Namespace, *, existing: bool = True) -> Iterator[App]:
    """The house of a command; one that writes refuses where the service works with another configuration.

    Raises:
        OtherConfigurationError: it does, and nobody has said --force.
    """
    with houses.open_app(options.config, existing=existing) as app:
        try:
            require_current(app)
        except OtherConfigurationError as other:
            if not getattr(options, "force", True) and not getattr(options, "dry_run", False):
                raise
            print(other, file=sys.stderr)
        yield app


def _text(argument: str) -> str:
    """An argument that is kept or looked for, also in UTF-8 where the locale knows ASCII alone."""
    try:
        return argument if argument.isprintable() else os.fsencode(argument).decode()
    except UnicodeError:
        raise argparse.ArgumentTypeError("is no text in the character set of this terminal") from None


def _usual_folder() -> Path:
    """The configuration that is meant where nobody names one."""
    named = os.environ.get(runtime.CONFIG_VARIABLE)
    return Path(named) if named else SYSTEM_FOLDER if SYSTEM_FOLDER.is_dir() else Path("config")


def _demo(options: argparse.Namespace) -> int:
    from dxatrend.demo import demo  # noqa: PLC0415 - it brings what only it needs

    return demo()


def _serve(options: argparse.Namespace) -> int:
    from dxatrend.service.supervisor import serve  # noqa: PLC0415

    with houses.open_app(options.config) as app:  # migrated here, before two children would
        prefect = app.settings.service.prefect
    serve(options.config, prefect, _until_signalled())
    return 0


def _listen(options: argparse.Namespace) -> int:
    give_back_large_blocks()
    stop = _until_signalled()
    with houses.open_app(options.config) as app:
        try:
            service = app.settings.service
            listener = Listener(
                service.listener, app.database, service.destination, reserve_mb=service.store.reserve_mb
            )
        except OSError as error:
            log.error("cannot listen: %s", error.strerror)
            return FAILURE
        except TlsError as unusable:
            log.error("cannot listen: listener.%s", unusable)
            return FAILURE
        live = LiveConfiguration(app)
        signal.signal(signal.SIGHUP, live.on_signal)
        with contextlib.closing(listener), events.told(app, "listener"), live.told("listener"):
            stop.wait()
    return 0


def _work(options: argparse.Namespace) -> int:
    give_back_large_blocks()
    _under_prefect(options.config)
    live = runtime.live_configuration()
    signal.signal(signal.SIGHUP, live.on_signal)
    from dxatrend.service.worker import run_worker  # noqa: PLC0415 - Prefect reads its settings when it is imported

    with events.told(live.app, "worker"), live.told("worker"):
        return 0 if run_worker(runtime.app, _until_signalled()) else FAILURE


def _prefect(options: argparse.Namespace) -> int:
    from dxatrend.service.supervisor import serve_prefect  # noqa: PLC0415

    settings, _ = load_configuration(options.config)
    serve_prefect(settings.service.prefect)


def _schedules(options: argparse.Namespace) -> int:
    prefect = _under_prefect(options.config)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)  # each of its runs reads the configuration itself
    runtime.app()  # nobody puts another store in its place while this runs
    # Importing Prefect competes with the start of its server, which all else waits for: not before that answers.
    with contextlib.closing(Orchestration(prefect)) as orchestration:
        orchestration.wait_for_server()
    from flows.deployments import run_schedules  # noqa: PLC0415

    run_schedules()
    return 0


def _deploy(options: argparse.Namespace) -> int:
    with contextlib.closing(Orchestration(_under_prefect(options.config))) as orchestration:
        if not orchestration.is_there():
            return FAILURE
    from flows.deployments import deploy  # noqa: PLC0415 - as above

    print(*deploy(), sep="\n")
    return 0


def _reload(options: argparse.Namespace) -> int:
    with houses.open_app(options.config, existing=True) as app:
        with app.database.write() as connection:
            asked = processes.request_reload(connection, at=datetime.now(UTC))
        if not asked:
            print("no listener or worker of the service runs", file=sys.stderr)
            return FAILURE
        deadline = time.monotonic() + RELOAD_SECONDS
        found = _live(app)
        while any(one.is_reload_requested for one in found) and time.monotonic() < deadline:
            time.sleep(0.2)
            found = _live(app)
        for one in found:
            told = f"has not answered in {RELOAD_SECONDS} seconds" if one.is_reload_requested else one.problem
            print(f"{one}: {told or 'has read its clinical configuration anew'}")
        different = outdated(app)
        print(*different, sep="\n", end="\n" if different else "", file=sys.stderr)
        return FAILURE if different or any(one.is_reload_requested or one.problem for one in found) else 0


def _live(app: App) -> list[LiveProcess]:
    with app.database.read() as connection:
        return processes.live(connection, at=datetime.now(UTC))


def _check(options: argparse.Namespace) -> int:
    settings, dialects = load_configuration(options.config)
    print(f"{printable(options.config)}: {len(dialects)} dialects, {len(settings.lscs)} LSC records, no mistakes")
    for lsc in settings.lscs:
        for doubt in doubts(lsc):
            print(f"please check: LSC of {lsc.region} on {lsc.scanner}: {doubt}")
    for one in dialects_in_force(options.config / "dialects"):
        print(_description(one))
    _tell_running_out(settings.lscs)
    silent = 0
    if (problem := _store_problem(options.config)) is not None:
        silent += 1
        print(problem)
    for caller in settings.service.listener.caller:
        if caller.host is None and caller.certificate is None:
            print(f"listener.caller {caller.ae_title}: without a host its AE title is the only secret: {_ANYBODY}")
    for unusable in _unusable_certificates(settings.service.listener):
        silent += 1
        print(unusable)
    prefect = prefect_answer(settings.service.prefect)
    silent += prefect.is_wrong
    print(f"the Prefect server {prefect}")
    for destination in settings.service.destination:
        try:
            echo(destination, settings.service.listener.ae_title)
            print(f"destination {destination.name}: answers")
        except PeerUnavailableError as problem:
            silent += 1
            print(f"destination {destination.name}: {problem}")
    return FAILURE if silent else 0


def _description(one: DialectInForce) -> str:
    """A line on a dialect: name, version and date, where it comes from, and what to do about an old copy."""
    told = one.dialect if one.dialect.date is None else f"{one.dialect} of {one.dialect.date}"
    if one.path is None:
        return f"dialect {told}: {one.origin.value}"
    line = f"dialect {told}: {printable(one.path)}, {one.origin.value}"
    advice = {
        Origin.OLDER: f" ({one.shipped} of {one.shipped and one.shipped.date}): take over what has changed",
        Origin.UNDATED: f" ({one.shipped} of {one.shipped and one.shipped.date}): take over what has changed",
        Origin.SAME: ": remove it, and an upgrade brings the next",
    }
    return f"please check: {line}{advice[one.origin]}" if one.origin in advice else line


_MOST_NAMED = 5
"""Of exams that are alike so many are named, the last ones; ``status --json`` has all of them."""

_ANYBODY = "anybody who knows it may send in its name"


def _store_problem(config: Path) -> str | None:
    """What is wrong with the store, which is not made to find out, or with the configuration of who works with it."""
    try:
        with houses.open_app(config, existing=True) as app:
            return "\n".join(outdated(app)) or None
    except StoreMissingError as missing:
        return f"store.url: there is no store at {printable(missing)} yet; the service makes one when it first starts"
    except StoreTooNewError:
        return "store.url: the store is of a later version of dxatrend"
    except StoreError as failure:
        return f"store.url: the database could not be asked: {printable(failure)}"
    except StoreInUseError:
        return "store.url: a backup is being restored"


def _unusable_certificates(listener: ListenerSettings) -> Iterator[str]:
    """What cannot be used of the listener's TLS, and of that with which scanners are called."""
    try:
        if listener.tls:
            for_listener(listener.tls)
    except TlsError as unusable:
        yield f"listener.{unusable}"
    for caller in listener.caller:
        try:
            if caller.tls:
                for_calling(caller.tls)
        except TlsError as unusable:
            yield f"listener.caller {caller.ae_title}: {unusable}"


def _status(options: argparse.Namespace) -> int:
    with houses.open_app(options.config, existing=True) as app:
        different = outdated(app)
        names = [destination.name for destination in app.settings.service.destination]
        archives = [archive.name for archive in app.settings.service.destination if archive.history]
        with app.database.read() as connection:
            found = service_status.status(
                connection, names, datetime.now(UTC), reference_data=app.reference_data, archives=archives
            )
        service = app.settings.service
        rooms = {
            "store": disk_reserve_of(app.database, service.store.reserve_mb),
            "Prefect": prefect_disk_reserve(service.prefect),
        }
    if options.json:
        _print_json(
            {"restart_needed": different}
            | dataclasses.asdict(found)
            | {"free_mb": {name: room.free_mb() for name, room in rooms.items()}}
            | {"respelt": [dataclasses.asdict(one) | {"lines": one.lines} for one in found.respelt]}
            | {"unidentified": [dataclasses.asdict(one) | {"lines": one.lines} for one in found.unidentified]}
            | {
                "lscs_running_out": [
                    {"scanner": str(lsc.scanner), "region": str(lsc.region), "valid_until": lsc.valid_until}
                    for lsc in running_out(app.reference_data.clinical.lscs, _today())
                ]
            }
        )
        return 0
    for restart in different:
        print(restart)
    print(f"received   {found.received} in the last 24 hours, {found.to_be_read} wait to be read")
    print(f"exams      {found.exams_waiting} wait to be followed up")
    print(f"held       {found.held} wait for a person" + ("; see dxatrend held" if found.held else ""))
    if found.late:
        _tell_late(found.late)
    for name, room in rooms.items():
        if (free := room.free_mb()) is not None:
            short = f": nearly full, {room.reserve_mb} MB are kept free" if room.is_short() else ""
            print(f"room       {free} MB on the disk of {name}{short}")
    print_table(
        ("scanner", "serial number", "last seen"),
        [(f"{one.manufacturer} {one.model}", one.serial_number, one.last_seen_at) for one in found.scanners],
    )
    print_table(
        ("destination", "delivered in 24 hours", "backlog", "oldest", "held", "away since", "next try", "last problem"),
        [
            (to.name, to.delivered, to.backlog, to.oldest, to.held, to.away_since, to.next_try, to.last_problem)
            for to in found.destinations
        ],
    )
    if found.history:
        print_table(
            ("history from", "last answer", "unanswered", "since", "next try", "last problem"),
            [
                (of.name, of.last_answer, of.unanswered, of.unanswered_since, of.next_try, of.last_problem)
                for of in found.history
            ],
        )
    if found.unidentified:
        _tell_unidentified(found.unidentified)
    if found.respelt:
        _tell_respelt(found.respelt)
    if found.new_senders:
        _tell_new_senders(found.new_senders)
    _tell_running_out(app.reference_data.clinical.lscs)
    return 0


def _tell_late(late: Sequence[int]) -> None:
    """Exams that came long after their date: until somebody confirms it, addenda say so (DATE_LATE)."""
    named = ", ".join(f"E{number}" for number in late[-_MOST_NAMED:])
    print(
        f"late       {len(late)} came long after the date they tell, last {named}; "
        "if the scanner's clock was right, dxatrend release E..."
    )


def _tell_running_out(lscs: Sequence[LeastSignificantChange]) -> None:
    """Which precision studies have to be repeated, or are overdue: without an LSC no change is judged (R1.12)."""
    for lsc in running_out(lscs, _today()):
        runs_out = "ran out" if lsc.valid_until < _today() else "runs out"
        print(
            f"please repeat the precision study: LSC of {lsc.region} on {lsc.scanner} {runs_out} on {lsc.valid_until}; "
            "of later exams no change is judged (NO_LSC)"
        )


def _tell_unidentified(unidentified: Sequence[UnidentifiedScanner]) -> None:
    """What would identify machines whose reports tell no serial number: until then nothing of theirs is compared."""
    print("\nThese machines tell no serial number, so nothing they measure is compared. Read it off the machine and")
    print("add it to scanners.toml:")
    for one in unidentified:
        print(f"\n# last seen {cell(one.last_seen_at)}", *one.lines, sep="\n")


def _tell_respelt(respelt: Sequence[Respelt]) -> None:
    """What would make one machine of two names for it: until then exams before and after are not compared."""
    print("\nThese names seem to be one machine's, told in two ways, perhaps since an upgrade; what was measured under")
    print("one is not compared with the other. If you know that it is one machine, add to scanners.toml:")
    for one in respelt:
        print(f"\n# {one.told}", *one.lines, sep="\n")


def _tell_new_senders(new: Sequence[NewSender]) -> None:
    """Callers that have sent another caller's machine's reports: until somebody confirms them, addenda say so."""
    print("\nThese callers have sent reports of a scanner that others had sent before. If they may, confirm them:")
    print_table(
        ("scanner", "serial number", "sent by", "since", ""),
        [
            (
                f"{one.scanner.manufacturer} {one.scanner.model}",
                one.scanner.serial_number,
                one.sender,
                one.first_seen_at,
                f"dxatrend confirm {one.number}",
            )
            for one in new
        ],
    )


def _confirm(options: argparse.Namespace) -> int:
    with _store(options) as app, app.database.write() as connection:
        now = datetime.now(UTC)
        sent = senders.confirm(connection, options.number, at=now)
        if sent is None:
            print(f"{options.number} is no caller that dxatrend status asks to confirm", file=sys.stderr)
            return FAILURE
        detail = {"sender": options.number}
        audit_trail.record(connection, events.by_operator(Event.CONFIRMED, at=now, detail=detail))
        due = sum(exams.reexamine_later_exams(connection, number, at=now) for number in sent)
    print(f"confirmed; {due} exams are due again")
    return 0


def _held(options: argparse.Namespace) -> int:
    with _store(options) as app, app.database.read() as connection:
        found = service_status.held(connection)
    if options.json:
        _print_json([dataclasses.asdict(one) for one in found])
    else:
        print_table(
            ("number", "what", "since", "reason", "sent by", "detail"),
            [(one.number, one.what, one.since, one.reason, one.sender, one.detail) for one in found],
        )
    return 0


def _release(options: argparse.Namespace) -> int:
    with _store(options) as app:
        if any(options.number == destination.name for destination in app.settings.service.destination):
            with app.database.write() as connection:
                now = datetime.now(UTC)
                due = outbox.retry_now(connection, options.number, at=now)
                audit_trail.record(
                    connection, events.by_operator(Event.RELEASED, at=now, detail={"number": options.number})
                )
            print(f"{due} deliveries to {options.number} will be tried now")
            return 0
        return _release_one(app, options.number)


def _release_one(app: App, told: str) -> int:
    letter = told[:1].upper() if told[:1].isalpha() else ""
    digits = told.removeprefix(told[: len(letter)])
    if letter not in service_status.KINDS or not digits.isdecimal():
        print(f"{told} is not a number that dxatrend held prints, and no destination", file=sys.stderr)
        return FAILURE
    queue = service_status.KINDS[letter]
    with app.database.write() as connection:
        now = datetime.now(UTC)
        released = work_queue.release(connection, queue, int(digits), at=now)
        if queue is exam_table:
            released = exams.confirm_date(connection, int(digits), at=now) or released
        if released:
            number = {"number": f"{letter}{digits}"}
            of: dict[str, Any] = {queue.name: int(digits)} if letter != "D" else {}
            audit_trail.record(connection, events.by_operator(Event.RELEASED, at=now, detail=number, **of))
        if released and queue is exam_table:
            exams.reexamine_later_exams(connection, int(digits), at=now)
    print(f"{queue.name} {digits} " + ("will be tried again" if released else "is not held"))
    return 0 if released else FAILURE


def _reprocess(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return history.reexamine(app, options, _until_signalled())


def _load(options: argparse.Namespace) -> int:
    with _store(options, existing=False) as app:
        return history.load(app, options, _until_signalled())


def _fetch(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return history.ask_archives(app, options)


def _merge(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return history.merge(app, options)


def _withdraw(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return history.withdraw(app, options)


def _split(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return history.split(app, options)


def _show(options: argparse.Namespace) -> int:
    from dxatrend.cli.show import show  # noqa: PLC0415

    with _store(options) as app:
        return show(app, options.report)


def _audit(options: argparse.Namespace) -> int:
    with _store(options) as app:
        return audit_commands.verify(app) if options.verify else audit_commands.export(app, options)


def _precision(options: argparse.Namespace) -> int:
    settings, _ = load_configuration(options.config)
    return clinical_context.precision(settings, options, _today())


def _today() -> date:
    return date.today()  # noqa: DTZ011 - the department's own day


def _context(options: argparse.Namespace) -> int:
    with _store(options, existing=options.verb == "show") as app:
        return {"load": clinical_context.load_context, "show": clinical_context.show_context}[options.verb](
            app, options
        )


def _under_prefect(config: Path) -> PrefectSettings:
    """Which Prefect this process works under, with that in the environment before Prefect is imported."""
    settings, _ = load_configuration(config)
    os.environ[runtime.CONFIG_VARIABLE] = str(config.absolute())
    os.environ.update(runtime.environment(settings.service.prefect))
    return settings.service.prefect


def _until_signalled() -> Stop:
    stop = runtime.stop()
    stop.on_signals()
    return stop


def _print_json(value: object) -> None:
    print(json.dumps(value, default=str, indent=2))
