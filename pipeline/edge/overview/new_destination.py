"""A PACS that a person wants to add: the lines of ``service.toml`` for it, ready to copy, or what is wrong with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count

from pydantic import ValidationError

from pipeline.edge.configuration.destination_settings import DicomDestination
from pipeline.edge.configuration.mistakes import mistakes_in
from pipeline.edge.text_files import toml_string


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDestination:
    """The lines to add, or the problems by the key that each is about."""

    lines: tuple[str, ...] = ()
    problems: Mapping[str, str] = field(default_factory=dict)


def new_destination(entered: Mapping[str, str], *, taken: Sequence[str]) -> NewDestination:
    """Return the lines for a PACS by its AE title, host and port, under the first name that is not taken."""
    name = next(name for number in count(1) if (name := "pacs" if number == 1 else f"pacs{number}") not in taken)
    try:
        to = DicomDestination.model_validate({"name": name, **entered})
    except ValidationError as error:
        return NewDestination(
            problems={one.key: one.text for one in mistakes_in(error, DicomDestination, entered) if one.key}
        )
    return NewDestination(
        lines=(
            "[[destination]]",
            f"name = {toml_string(to.name)}",
            f"ae_title = {toml_string(to.ae_title)}",
            f"host = {toml_string(to.host)}",
            f"port = {to.port}",
        )
    )
