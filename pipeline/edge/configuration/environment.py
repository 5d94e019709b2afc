"""Environment variables that override keys, ``DXATREND_<FILE>__<KEY>``: what is wrong with their names and texts."""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, get_origin

from pipeline.edge.configuration.fields import Key, key_at, members
from pipeline.edge.configuration.folders import CONFIG_VARIABLE
from pipeline.edge.configuration.log_format import LOG_FORMAT_VARIABLE
from pipeline.edge.configuration.mistakes import value_at
from pipeline.edge.configuration.settings import ENV_DELIMITER, ENV_PREFIX, Settings
from pipeline.edge.configuration.suggestions import did_you_mean
from pipeline.edge.configuration.toml_lines import Path

_DEEPEST = 5
"""Sections in one another, for which variables are looked for."""


def unknown_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield a mistake for each variable with two underscores that names no part of the configuration."""
    for name in _ours(environment):
        part, delimiter, _ = name.upper().removeprefix(ENV_PREFIX).partition(ENV_DELIMITER)
        if delimiter and part.lower() not in Settings.model_fields:
            hint = _hint(_meant(name)) or did_you_mean(part.lower(), Settings.model_fields)
            yield f"{name} (environment): no part of the configuration is called {part.lower()!r}{hint}"


def unheeded_variables(environment: Mapping[str, str]) -> Iterator[str]:
    """Yield what is wrong with each variable that looks like an override and is none, as its underscores are single."""
    for name in _ours(environment):
        if ENV_DELIMITER in name or name.upper() in (CONFIG_VARIABLE, LOG_FORMAT_VARIABLE):
            continue
        is_folder = did_you_mean(_bare(name), [_bare(CONFIG_VARIABLE)])
        hint = _hint(_meant(name) or (CONFIG_VARIABLE if is_folder else ""))
        yield f"{name} (environment): it has no effect: file, section and key are set apart by two underscores{hint}"


def unreadable_variables(environment: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Yield name and mistake of each variable for a list or a section whose text is no JSON."""
    for name in _ours(environment):
        key = key_at(Settings, _path(name))
        if key is None or not _is_json(key):
            continue
        try:
            json.loads(environment[name])
        except (ValueError, RecursionError):
            kind = "a list" if key.entry is not None else "an object"
            yield name, f"has to be {kind} in JSON, as '{'[…]' if key.entry is not None else '{…}'}'"


def variable_of(path: Path, environment: Mapping[str, str], data: Mapping[str, Any]) -> str:
    """Return the variable that a value comes from; empty where it comes from a file."""
    names = {name.upper(): name for name in _ours(environment)}
    steps = [step for number, step in enumerate(path) if all(isinstance(one, str) for one in path[: number + 1])]
    for depth in range(len(steps), 0, -1):
        name = names.get(ENV_PREFIX + ENV_DELIMITER.join(str(step).upper() for step in steps[:depth]))
        if name is not None and (depth == len(path) or not _stands_in_file(path, depth, environment[name], data)):
            return name
    return ""


def _stands_in_file(path: Path, depth: int, text: str, data: Mapping[str, Any]) -> bool:
    try:
        inside = value_at(json.loads(text), path[depth:])
    except (ValueError, RecursionError):
        return False
    return inside is None and value_at(data, path) is not None


def _ours(environment: Mapping[str, str]) -> list[str]:
    return sorted(name for name in environment if name.upper().startswith(ENV_PREFIX))


def _path(name: str) -> Path:
    return tuple(name[len(ENV_PREFIX) :].lower().split(ENV_DELIMITER))


def _is_json(key: Key) -> bool:
    return bool(key.entry or key.sections) or get_origin(key.plain.annotation) in (dict, Mapping)


def _meant(name: str) -> str:
    """Return the variable whose letters a name has, or ends with, as it may lack file and section; or nothing."""
    bare = _bare(name)
    return _known().get(bare) or next((one for key, one in _known().items() if bare and key.endswith(bare)), "")


def _hint(meant: str) -> str:
    return f"; did you mean {meant}?" if meant else ""


def _bare(name: str) -> str:
    return name.upper().removeprefix(ENV_PREFIX).replace("_", "")


@cache
def _known() -> Mapping[str, str]:
    return _variables(Settings)


def _variables(section: type, above: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the variable of every key by its letters without underscores, those of higher sections first."""
    found: dict[str, str] = {}
    for name, key in members(section).items():
        path = (*above, name)
        variable = ENV_PREFIX + ENV_DELIMITER.join(step.upper() for step in path)
        found.setdefault(_bare(variable), variable)
        if key.entry is None and len(path) < _DEEPEST:
            for below in key.sections:
                found |= {bare: one for bare, one in _variables(below, path).items() if bare not in found}
    return found
