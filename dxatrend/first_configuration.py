"""The first configuration of an installation: the commented files of ``config/`` with a department's own answers.

``dxatrend init`` asks for the answers. What it writes has been read as the service reads it, and replaces no file.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pipeline.edge.configuration.loading import load_configuration
from pipeline.edge.ip_address import LOOPBACK
from pipeline.edge.text_files import toml_string
from pipeline.errors import DxatrendError


class FirstConfigurationError(DxatrendError):
    """A first configuration that was not written; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A scanner or PACS as both sides know it: its AE title, its address, and its port where we call it."""

    ae_title: str
    host: str
    port: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What a department says of itself on the first day."""

    ae_title: str = "DXATREND"
    host: str = "0.0.0.0"
    port: int = 11112
    scanners: tuple[Peer, ...] = ()
    destinations: tuple[Peer, ...] = ()
    proof: str = "none"
    content: tuple[str, ...] = ("sr",)
    time_zone: str | None = None
    store_url: str | None = None


def write(folder: Path, answers: Answers) -> tuple[Path, ...]:
    """Write the files of a configuration folder, all of them or none, and return them.

    Raises:
        FirstConfigurationError: one of the files is there, or the folder cannot be written.
        SettingsError: the service could not use the answers.
    """
    try:
        with tempfile.TemporaryDirectory() as scratch:
            made = _make(Path(scratch) / folder.absolute().name, answers)
            load_configuration(made)
            names = sorted(path.relative_to(made) for path in made.rglob("*") if path.is_file())
            _require_none_of(folder, names)
            _copy(made, folder, names)
    except OSError as error:
        raise FirstConfigurationError(f"{error.filename or folder}: {error.strerror}") from None
    return tuple(folder / name for name in names)


def service_toml(answers: Answers) -> str:
    """Return ``service.toml``: the shipped file, with the answers in the place of its defaults and examples."""
    text = (_shipped() / "service.toml").read_text(encoding="utf-8")
    text = _replaced(text, 'ae_title = "DXATREND"\n', f"ae_title = {toml_string(answers.ae_title)}\n")
    text = _replaced(text, 'host = "127.0.0.1"  ', f"host = {toml_string(answers.host)}  ")
    text = _replaced(text, "  # this machine only, until you change it\n", f"  # {_reach(answers.host)}\n")
    text = _replaced(text, "port = 11112\n", f"port = {answers.port}\n")
    if answers.store_url is not None:
        text = _replaced(text, 'url = "sqlite:///var/dxatrend.sqlite3"', f"url = {toml_string(answers.store_url)}")
    zone = f"time_zone = {toml_string(answers.time_zone)}\n" if answers.time_zone else ""
    callers = "\n".join(map(_caller, answers.scanners))
    text = _replaced(text, "[exam]\n", f"{callers}\n[exam]\n{zone}" if callers else f"[exam]\n{zone}")
    names = _names(answers.destinations)
    destinations = "\n".join(_destination(*one, answers) for one in zip(names, answers.destinations, strict=True))
    return _replaced(text, _AFTER_DESTINATIONS, f"{destinations}\n{_AFTER_DESTINATIONS}") if destinations else text


_AFTER_DESTINATIONS = "# Who is told when something is wrong"


def _make(folder: Path, answers: Answers) -> Path:
    with resources.as_file(_shipped()) as shipped:
        shutil.copytree(shipped, folder)
    (folder / "service.toml").write_text(service_toml(answers), encoding="utf-8")
    return folder


def _require_none_of(folder: Path, names: Sequence[Path]) -> None:
    existing = [str(name) for name in names if os.path.lexists(folder / name)]
    if existing:
        raise FirstConfigurationError(f"{folder}: {', '.join(existing)}: there already, and nothing is overwritten")


def _copy(made: Path, folder: Path, names: Sequence[Path]) -> None:
    """Copy files to where none of them is, and remove them again where not all can be written."""
    with contextlib.ExitStack() as undo:
        for name in names:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            with (folder / name).open("xb") as file:
                undo.callback((folder / name).unlink)
                file.write((made / name).read_bytes())
        undo.pop_all()


def _shipped() -> resources.abc.Traversable:
    return resources.files("dxatrend") / "initial_configuration"


def _replaced(text: str, before: str, after: str) -> str:
    """Put an answer in its place in the shipped file, which must have that place once."""
    if text.count(before) != 1:
        raise AssertionError(f"config/service.toml has no single {before!r}")
    return text.replace(before, after)


def _reach(host: str) -> str:
    match host:
        case "0.0.0.0" | "::":
            return "every address of this machine"
        case _ if host in LOOPBACK:
            return "this machine only, until you change it"
        case _:
            return "this address of this machine"


def _caller(scanner: Peer) -> str:
    port = "" if scanner.port is None else f"port = {scanner.port}\n"
    return (
        f"[[listener.caller]]\nae_title = {toml_string(scanner.ae_title)}\nhost = {toml_string(scanner.host)}\n{port}"
    )


def _destination(name: str, pacs: Peer, answers: Answers) -> str:
    content = "" if answers.content == ("sr",) else f"content = {json.dumps(list(answers.content))}\n"
    return (
        f"[[destination]]\nname = {toml_string(name)}\nae_title = {toml_string(pacs.ae_title)}\n"
        f"host = {toml_string(pacs.host)}\nport = {pacs.port}\nproof = {toml_string(answers.proof)}\n{content}"
    )


def _names(destinations: tuple[Peer, ...]) -> tuple[str, ...]:
    """Return the name of each destination: one PACS is ``pacs``, several are called as their AE titles."""
    if len(destinations) == 1:
        return ("pacs",)
    return tuple(one.ae_title.lower() for one in destinations)
