"""Read the mapping file of an HL7 destination: every error of it is reported, each under its key."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from pipeline.edge.configuration.section import CONFIGURATION_FOLDER
from pipeline.edge.configuration.suggestions import did_you_mean
from pipeline.edge.text_files import UnreadableTextError, printable, read_text
from pipeline.messages.hl7.mapping import Hl7Mapping, Observation

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
    try:
        return _ADAPTER.validate_python(tomllib.loads(read_text(CONFIGURATION_FOLDER.get() / path)))
    except (UnreadableTextError, tomllib.TOMLDecodeError) as error:
        raise ValueError(f"{printable(path)}: {error}") from None
    except RecursionError:
        raise ValueError(f"{printable(path)}: one array in another goes too deep") from None
    except OSError as error:
        raise ValueError(f"{printable(path)}: {error.strerror or type(error).__name__}") from None
    except ValidationError as error:
        raise ValueError(f"{printable(path)}: {'; '.join(_mistakes(error))}") from None


def _mistakes(error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_url=False, include_input=False, include_context=False):
        key = ".".join(str(step) for step in mistake["loc"])
        if mistake["type"] == "unexpected_keyword_argument":
            section = Observation if mistake["loc"][:1] == ("obx",) else Hl7Mapping
            known = section.__dataclass_fields__
            yield f"{key}: there is no such key{did_you_mean(str(mistake['loc'][-1]), known)}"
        else:
            message = mistake["msg"].removeprefix("Value error, ")
            yield f"{key}: {message}" if key else message
