"""Read the mapping file of an HL7 destination: every error of it is reported, each under its key."""

from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.edge.configuration.mistakes import Mistake, mistakes_in
from pipeline.edge.configuration.section import CONFIGURATION_FOLDER
from pipeline.edge.configuration.toml_files import TomlFile, read_toml
from pipeline.edge.text_files import printable
from pipeline.messages.hl7.mapping import Hl7Mapping

_ADAPTER = TypeAdapter(Hl7Mapping)


def read_mapping(path: object) -> Hl7Mapping:
    """Return the mapping in a file; a relative path begins at the configuration folder.

    Raises:
        ValueError: it cannot be read, or has mistakes.
    """
    if isinstance(path, Hl7Mapping):
        return path
    if not isinstance(path, str | Path) or not str(path):
        raise ValueError("the path of a mapping file")
    file = read_toml(CONFIGURATION_FOLDER.get() / path, name=str(printable(path)))
    if file.errors:
        raise ValueError("; ".join(file.errors))
    try:
        return _ADAPTER.validate_python(file.data)
    except ValidationError as error:
        mistakes = mistakes_in(error, Hl7Mapping, file.data)
        raise ValueError("; ".join(_placed(file, one) for one in mistakes)) from None


def _placed(file: TomlFile, mistake: Mistake) -> str:
    key = f"{mistake.key}: " if mistake.key else ""
    return f"{file.place(mistake.path)}: {key}{mistake.text}"
