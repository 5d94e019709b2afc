"""Load a configuration folder: every error of every file is reported together, each under its key.

The files are ``service.toml``, ``scanners.toml``, ``precision.toml``, ``rules.toml`` and ``dialects/*.toml``; none is
required.
"""

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.engine import make_url

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.dialects import dialects_in_force
from pipeline.edge.configuration.environment import unknown_variables, unreadable_variables, variable_of
from pipeline.edge.configuration.fields import key_at
from pipeline.edge.configuration.folders import SYSTEM_DATA_FOLDER, SYSTEM_FOLDER
from pipeline.edge.configuration.mistakes import Mistake, left_to_fill_in, mistakes_in
from pipeline.edge.configuration.section import CONFIGURATION_FOLDER
from pipeline.edge.configuration.settings import FilesAlone, Settings
from pipeline.edge.configuration.suggestions import did_you_mean
from pipeline.edge.configuration.toml_files import TomlFile, read_toml
from pipeline.edge.text_files import printable
from pipeline.errors import DxatrendError
from pipeline.sr.dialects.loader import DialectError
from pipeline.sr.dialects.model import Dialect, normal_scanner
from pipeline.sr.extract.scanner_alias import Spelling, canonical_scanner


class SettingsError(DxatrendError):
    """A configuration that cannot be used; ``mistakes`` holds every error, each under its key."""

    def __init__(self, mistakes: tuple[str, ...]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = mistakes


def load_configuration(folder: Path) -> tuple[Settings, tuple[Dialect, ...]]:
    """Return the settings of a configuration folder and the environment, and the dialects in force.

    Raises:
        SettingsError: anything is missing, unknown, contradictory or not TOML.
    """
    mistakes: list[str] = []
    files: dict[str, TomlFile] = {}
    if not folder.is_dir():
        raise SettingsError((f"{printable(folder)}: there is no such configuration folder; dxatrend init makes one",))
    if not os.access(folder, os.R_OK | os.X_OK):
        raise SettingsError((f"{printable(folder)}: you may not read this folder{_who_may(folder)}",))
    for path in sorted(folder.glob("*.toml")):
        if path.stem in Settings.model_fields:
            files[path.stem] = read_toml(path, may_repeat=partial(_may_repeat, path.stem))
        else:
            hint = did_you_mean(path.stem, Settings.model_fields)
            mistakes.append(f"{printable(path.name)}: no part of the configuration has this name{hint}")
    mistakes += unknown_variables(os.environ)
    reading = CONFIGURATION_FOLDER.set(folder.resolve())
    try:
        settings, found = _settings(files)
    finally:
        CONFIGURATION_FOLDER.reset(reading)
    mistakes += found
    dialects: tuple[Dialect, ...] = ()
    try:
        dialects = tuple(one.dialect for one in dialects_in_force(folder / "dialects"))
    except DialectError as error:
        mistakes += [f"dialects/{mistake}" for mistake in error.errors]
    if settings is not None:
        mistakes += _spelling_errors(settings, dialects)
    if mistakes or settings is None:
        raise SettingsError(tuple(mistakes))
    return _located(settings, folder.resolve()), dialects


def _may_repeat(part: str, names: Sequence[str]) -> bool:
    """Return whether a section of a file may be written several times, as ``[[destination]]``."""
    key = key_at(Settings, (part, *names))
    return key is not None and key.entry is not None and bool(key.entry.sections)


def _settings(files: Mapping[str, TomlFile]) -> tuple[Settings | None, list[str]]:
    """Return the settings, and every mistake of the files, of their values and of the environment, with its place."""
    data: dict[str, Any] = {part: file.data for part, file in files.items()}
    unreadable = dict(unreadable_variables(os.environ))
    mistakes = [error for file in files.values() for error in file.errors]
    mistakes += [f"{name} (environment): {problem}" for name, problem in unreadable.items()]
    found = {one.path: one for one in left_to_fill_in(data)}
    settings = None
    try:
        settings = FilesAlone(**data) if unreadable else Settings(**data)
    except ValidationError as error:
        for one in mistakes_in(error, Settings, data):
            found.setdefault(one.path, one)
    for one in found.values():
        file = files.get(str(one.path[0]), TomlFile(name=f"{one.path[0]}.toml"))
        if not (one.may_follow and file.errors):
            mistakes.append(_placed(one, file, data))
    return settings, sorted(mistakes, key=_place)


def _place(mistake: str) -> tuple[str, int]:
    """Return file and line of a mistake, to tell those of one file in the order of its lines."""
    match = _PLACE.match(mistake)
    return (match["file"], int(match["line"] or 0)) if match else ("", 0)


_PLACE = re.compile(r"(?P<file>[^\s,:]+)(?:, line (?P<line>\d+))?:")


def _placed(one: Mistake, file: TomlFile, data: Mapping[str, Any]) -> str:
    key = one.key.partition(".")[2]
    variable = variable_of(one.path, os.environ, data)
    place = f"{variable} (environment)" if variable else file.place(one.path[1:])
    return f"{place}: {key}: {one.text}" if key else f"{place}: {one.text}"


def _who_may(folder: Path) -> str:
    try:
        return f"; the members of the group {folder.group()} may"
    except KeyError:  # the group has a number only
        return ""


def _located(settings: Settings, folder: Path) -> Settings:
    """Return the settings with the paths of store and Prefect in the data folder of this configuration folder."""
    service = settings.service
    data = service.store.folder or (SYSTEM_DATA_FOLDER if folder == SYSTEM_FOLDER else folder.parent)
    store = {"folder": data, "url": _in_folder(service.store.url, data)}
    located = {
        "store": service.store.model_copy(update=store),
        "prefect": service.prefect.model_copy(update={"home": data / service.prefect.home}),
    }
    return settings.model_copy(update={"service": service.model_copy(update=located)})


def _in_folder(url: str, folder: Path) -> str:
    """Return a database URL whose file, if it is one, is in a folder unless its path is absolute."""
    parsed = make_url(url)
    if parsed.drivername != "sqlite":
        return url
    assert parsed.database is not None  # the settings have checked it
    return f"sqlite:///{folder / parsed.database}"


def _spelling_errors(settings: Settings, dialects: Sequence[Dialect]) -> Iterator[str]:
    """Yield the spellings that would make one of two scanners, or give one scanner two LSCs on a day."""
    named = partial(normal_scanner, dialects=dialects)
    spellings = [Spelling(scanner=named(one.scanner), reported=named(one.reported)) for one in settings.spellings]
    listed = {named(entry.scanner) for entry in settings.scanners.scanner}
    first_use: dict[Scanner, Scanner] = {}
    for spelling in spellings:
        is_another = spelling.reported in listed - {spelling.scanner}
        if is_another or first_use.setdefault(spelling.reported, spelling.scanner) != spelling.scanner:
            yield f"scanners.toml: scanner.spelling: {spelling.reported} stands for two scanners"
    lscs = [(named(lsc.scanner), lsc) for lsc in settings.lscs]
    for (name, one), (other_name, other) in combinations(lscs, 2):
        same = (
            canonical_scanner(name, spellings) == canonical_scanner(other_name, spellings)
            and one.region == other.region
        )
        if name != other_name and same and one.valid_from <= other.valid_until and other.valid_from <= one.valid_until:
            yield f"precision.toml: lsc: by its spellings one scanner has two entries for {one.region} at the same time"
