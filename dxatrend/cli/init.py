"""``dxatrend init``: write the first configuration from options, or from the answers of a person at a terminal."""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors
from dxatrend.first_configuration import Answers, FirstConfigurationError, Peer, write
from pipeline.edge.configuration.desk_settings import DeskSettings
from pipeline.edge.configuration.folders import SYSTEM_FOLDER
from pipeline.edge.configuration.section import AeTitle, Port
from pipeline.edge.configuration.service_settings import TimeZone
from pipeline.edge.text_files import printable

T = TypeVar("T")

_ZONES = "/usr/share/zoneinfo/"

_UNIT = Path("/usr/local/lib/systemd/system/dxatrend.service")
"""What ``deploy/install`` puts on a machine that runs the service."""


def run(options: argparse.Namespace) -> int:
    """Write the files of a configuration folder, and say what comes next."""
    folder: Path = options.folder or options.config
    try:
        answers = _asked(folder) if _is_to_ask(options) else _given(options)
        written = write(folder, answers)
    except (_WrongAnswerError, FirstConfigurationError) as wrong:
        print_errors(f"Nothing was written: {printable(wrong)}")
        return FAILURE
    except (EOFError, KeyboardInterrupt):
        print_errors("", "Nothing was written.")
        return FAILURE
    for path in written:
        print(printable(path))
    print(*_next_steps(folder, answers), sep="\n")
    return SUCCESS


class _WrongAnswerError(ValueError):
    """An answer that cannot be used; the text says why."""


def _is_to_ask(options: argparse.Namespace) -> bool:
    given = (options.ae_title, options.port, options.host, options.scanner, options.pacs, options.proof)
    others = (options.images, options.time_zone, options.store)
    return sys.stdin.isatty() and not any((*given, *others))


def _given(options: argparse.Namespace) -> Answers:
    default = Answers()
    return Answers(
        ae_title=_ae_title(options.ae_title or default.ae_title),
        host=options.host or default.host,
        port=_port(options.port or default.port),
        scanners=tuple(_scanner(text) for text in options.scanner or ()),
        destinations=tuple(_pacs(text) for text in options.pacs or ()),
        proof=options.proof or default.proof,
        content=("sr", "image") if options.images else default.content,
        time_zone=_time_zone(options.time_zone) if options.time_zone else None,
        store_url=options.store,
    )


def _asked(folder: Path) -> Answers:
    """Ask a person at the terminal, and again where an answer cannot be used."""
    default = Answers()
    print(f"The configuration of dxatrend in {printable(folder)}. Enter takes what is in brackets.")
    print("You can change everything later in service.toml.\n")
    ae_title = _ask("AE title of dxatrend, for scanners and PACS", _ae_title, default.ae_title)
    port = _ask("DICOM port of dxatrend (104 is the usual one)", _port, str(default.port))
    host = _ask("Address of this machine that scanners call; 0.0.0.0 is every one of them", _address, default.host)
    print("\nWhich scanners may send? All others are rejected. Enter alone ends the list.")
    scanners = tuple(_list("A scanner, as AE_TITLE@ADDRESS, such as DXA1@192.0.2.10", _scanner))
    print("\nWhich PACS get the addenda? Enter alone ends the list.")
    destinations = tuple(_list("A PACS, as AE_TITLE@ADDRESS:PORT, such as PACS@192.0.2.20:104", _pacs))
    proof, content = default.proof, default.content
    if destinations:
        print("\nWhat proves that the PACS has an addendum? commitment: it commits to keep it (storage commitment).")
        print("find: a query (C-FIND) shows it. none: its answer to C-STORE is enough.")
        proof = _ask("commitment, find or none", _one_of("commitment", "find", "none"), default.proof)
        shows = _ask("Does it show structured reports to people? If not, pages come too", _one_of("yes", "no"), "yes")
        content = default.content if shows == "yes" else ("sr", "image")
    print()
    zone = _ask("Time zone of the department", _time_zone, _zone_of_this_machine())
    store = _ask("Database: a file on this machine, or the URL of a PostgreSQL", str, "file")
    return Answers(
        ae_title=ae_title,
        host=host,
        port=port,
        scanners=scanners,
        destinations=destinations,
        proof=proof,
        content=content,
        time_zone=zone,
        store_url=None if store == "file" else store,
    )


def _ask(question: str, read: Callable[[str], T], default: str) -> T:
    while True:
        answer = input(f"{question} [{default}]: ").strip() or default
        try:
            return read(answer)
        except _WrongAnswerError as wrong:
            print(f"  {printable(wrong)}")


def _list(question: str, read: Callable[[str], T]) -> Iterator[T]:
    while answer := input(f"{question}: ").strip():
        try:
            yield read(answer)
        except _WrongAnswerError as wrong:
            print(f"  {printable(wrong)}")


def _scanner(text: str) -> Peer:
    """Read ``AE@ADDRESS``, or ``AE@ADDRESS:PORT`` of a scanner that takes storage commitment there."""
    return _peer(text, "a scanner is AE_TITLE@ADDRESS, such as DXA1@192.0.2.10")


def _pacs(text: str) -> Peer:
    peer = _peer(text, wanted := "a PACS is AE_TITLE@ADDRESS:PORT, such as PACS@192.0.2.20:104")
    if peer.port is None:
        raise _WrongAnswerError(f"{text}: the port is missing; {wanted}")
    return peer


def _peer(text: str, wanted: str) -> Peer:
    ae_title, at, address = text.rpartition("@")
    if not at or not address:
        raise _WrongAnswerError(f"{text}: {wanted}")
    host, port = address, None
    if address.startswith("["):  # an IPv6 address
        host, _, rest = address[1:].partition("]")
        port = rest.removeprefix(":") or None
    elif address.count(":") == 1:
        host, _, port = address.partition(":")
    return Peer(ae_title=_ae_title(ae_title), host=_address(host), port=None if port is None else _port(port))


def _address(text: str) -> str:
    if not text or not text.isprintable() or set(text) & set(" /@"):
        raise _WrongAnswerError(f"{text}: this is no address and no name of a machine")
    return text


def _ae_title(text: str) -> str:
    return _valid(AeTitle, text)


def _port(text: object) -> int:
    return _valid(Port, text)


def _time_zone(text: str) -> str:
    return _valid(TimeZone, text)


def _valid(kind: type[T], text: object) -> T:
    """Read an answer as the configuration reads it."""
    try:
        return TypeAdapter(kind).validate_python(text)
    except ValidationError as error:
        (mistake, *_) = error.errors(include_url=False)
        why = "a port is a number from 1 to 65535" if kind is Port else mistake["msg"].removeprefix("Value error, ")
        raise _WrongAnswerError(f"{text}: {why}") from None


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise _WrongAnswerError(f"{text}: please answer {', '.join(words[:-1])} or {words[-1]}")
        return text

    return read


def _zone_of_this_machine() -> str:
    target = str(Path("/etc/localtime").resolve())
    return target.removeprefix(_ZONES) if target.startswith(_ZONES) else "UTC"


def _next_steps(folder: Path, answers: Answers) -> Iterator[str]:
    is_system = folder.absolute() == SYSTEM_FOLDER
    option = "" if is_system else f" --config {printable(folder)}"
    yield ""
    if not answers.scanners:
        yield "No scanner may send yet: once one has tried, dxatrend status and the desk show the lines that let it in."
    if not answers.destinations:
        yield "No PACS gets addenda yet: add a [[destination]] to service.toml."
    yield "Without your LSCs no change is called significant: precision.toml, or the page Precision of the desk."
    yield "Nobody is told of alarms, and nothing is backed up, until service.toml says so: [alarms.mail], [backup]."
    yield f"In the PACS, let {answers.ae_title} store. On each scanner, enter {answers.ae_title}, this machine's"
    yield f"address and port {answers.port} as a destination for structured reports."
    yield f"Next: dxatrend{option} check"
    start = "systemctl enable --now dxatrend" if is_system and _UNIT.exists() else f"dxatrend{option} serve"
    yield f"Then: {start}"
    yield f"The desk at {DeskSettings().address} shows the next steps, once somebody is let in:"
    yield f"dxatrend{option} desk user add NAME --role configure"
