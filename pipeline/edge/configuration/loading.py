"""Load a configuration folder: every error of every file is reported together, each under its key.

The files are ``service.toml``, ``scanners.toml``, ``precision.toml``, ``rules.toml`` and ``dialects/*.toml``; none is
required.
"""

import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from sqlalchemy.engine import make_url

from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.destination_settings import KINDS
from pipeline.edge.configuration.dialects import dialects_in_force
from pipeline.edge.configuration.folders import SYSTEM_DATA_FOLDER, SYSTEM_FOLDER
from pipeline.edge.configuration.section import CONFIGURATION_FOLDER
from pipeline.edge.configuration.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from pipeline.edge.configuration.suggestions import did_you_mean, keys_beside
from pipeline.edge.text_files import UnreadableTextError, printable, read_text
from pipeline.errors import DxatrendError
from pipeline.sr.dialects.loader import Dialect, DialectError, normal_manufacturer
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
    files: dict[str, Any] = {}
    if not folder.is_dir():
        raise SettingsError((f"{printable(folder)}: there is no such configuration folder",))
    for path in sorted(folder.glob("*.toml")):
        if path.stem not in Settings.model_fields:
            hint = did_you_mean(path.stem, Settings.model_fields)
            mistakes.append(f"{printable(path.name)}: no part of the configuration has this name{hint}")
            continue
        try:
            files[path.stem] = tomllib.loads(read_text(path), parse_float=Decimal)
        except (UnreadableTextError, tomllib.TOMLDecodeError) as error:
            mistakes.append(f"{path.name}: {error}")
        except RecursionError:
            mistakes.append(f"{path.name}: one array in another goes too deep")
    mistakes += _unknown_variables(os.environ)
    settings = None
    reading = CONFIGURATION_FOLDER.set(folder.resolve())
    try:
        settings = _located(Settings(**files), folder.resolve())
    except ValidationError as error:
        mistakes += _mistakes(error)
    finally:
        CONFIGURATION_FOLDER.reset(reading)
    dialects: tuple[Dialect, ...] = ()
    try:
        dialects = tuple(one.dialect for one in dialects_in_force(folder / "dialects"))
    except DialectError as error:
        mistakes += [f"dialects/{mistake}" for mistake in error.errors]
    if settings is not None:
        mistakes += _spelling_errors(settings, dialects)
    if mistakes or settings is None:
        raise SettingsError(tuple(mistakes))
    return settings, dialects


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


def _unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    for name in sorted(environment):
        part, delimiter, _ = name.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if name.upper().startswith(ENV_PREFIX) and delimiter and part.lower() not in Settings.model_fields:
            hint = did_you_mean(part.lower(), Settings.model_fields)
            yield f"{name}: no part of the configuration is called {part.lower()!r}{hint}"


def _mistakes(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(step) for step in _as_written(mistake["loc"]))
        if mistake["type"] == "extra_forbidden":
            known = keys_beside(Settings, mistake["loc"])
            yield f"{key}: there is no such key{did_you_mean(str(mistake['loc'][-1]), known)}"
        elif mistake["type"] == "union_tag_invalid":
            yield f"{key}.kind: there is no such kind; the kinds are {', '.join(KINDS)}"
        else:
            yield f"{key}: {mistake['msg'].removeprefix('Value error, ')}"


def _as_written(location: tuple[str | int, ...]) -> tuple[str | int, ...]:
    """Return where an error is without the kind that pydantic puts after the number of a destination."""
    if location[:2] == ("service", "destination") and location[3:4] and location[3] in KINDS:
        return (*location[:3], *location[4:])
    return location


def _spelling_errors(settings: Settings, dialects: Sequence[Dialect]) -> Iterator[str]:
    """Yield the spellings that would make one of two scanners, or give one scanner two LSCs on a day."""

    def named(scanner: Scanner) -> Scanner:
        return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))

    spellings = [Spelling(scanner=named(one.scanner), reported=named(one.reported)) for one in settings.spellings]
    listed = {named(entry.scanner) for entry in settings.scanners.scanner}
    first_use: dict[Scanner, Scanner] = {}
    for spelling in spellings:
        is_another = spelling.reported in listed - {spelling.scanner}
        if is_another or first_use.setdefault(spelling.reported, spelling.scanner) != spelling.scanner:
            yield f"scanners.scanner.spelling: {spelling.reported} stands for two scanners"
    lscs = [(named(lsc.scanner), lsc) for lsc in settings.lscs]
    for (name, one), (other_name, other) in combinations(lscs, 2):
        same = (
            canonical_scanner(name, spellings) == canonical_scanner(other_name, spellings)
            and one.region == other.region
        )
        if name != other_name and same and one.valid_from <= other.valid_until and other.valid_from <= one.valid_until:
            yield f"precision.lsc: by its spellings one scanner has two entries for {one.region} at the same time"
