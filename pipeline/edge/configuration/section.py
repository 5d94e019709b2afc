"""The base of every part of the configuration, and the types of value that several parts share."""

from contextvars import ContextVar
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from pipeline.clinical.regions import Region, UnknownRegionError, parse_region
from pipeline.sr.extract.serial_numbers import is_no_serial_number

CONFIGURATION_FOLDER: ContextVar[Path] = ContextVar("the configuration folder that is being read", default=Path())
"""What a relative path is relative to, whatever the working directory is; set while a folder is read."""


class Section(BaseModel):
    """A part of the configuration in which an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _ae_title(text: str) -> str:
    """Return an AE title without its padding (PS3.5 6.2): 1 to 16 printable characters, no backslash."""
    title = text.strip()
    if not 1 <= len(title) <= 16 or not title.isascii() or not title.isprintable() or "\\" in title:
        raise ValueError("an AE title has 1 to 16 printable ASCII characters and no backslash")
    return title


def _region(value: object) -> Region:
    if isinstance(value, Region):
        return value
    try:
        return parse_region(str(value))
    except UnknownRegionError as unknown:
        raise ValueError(str(unknown)) from None


def _serial_number(text: str) -> str:
    """Refuse what stands for a missing serial number: it would make one scanner of all that have none (R2.1)."""
    if is_no_serial_number(text):
        raise ValueError("this stands for a missing serial number; read it off the scanner")
    return text


def _beside_configuration(path: Path) -> Path:
    return CONFIGURATION_FOLDER.get() / path


def _grams_per_cm2(value: Decimal) -> Decimal:
    """Refuse what is no change in areal density, with the unit that a person may have meant (R1.8)."""
    if value >= _PERHAPS_MG:
        raise ValueError(
            "is in g/cm2, so more than 0 and less than 1; this looks like mg/cm2, of which 28 are 0.028 g/cm2"
        )
    if value >= 1:
        raise ValueError(
            "is in g/cm2, so more than 0 and less than 1; this looks like percent, from which none can be told: "
            "take it in g/cm2 from the precision study"
        )
    if value <= 0:
        raise ValueError("is in g/cm2, so more than 0 and less than 1")
    return value


_PERHAPS_MG = 10
"""Precision in percent is smaller, and in mg/cm2 it is larger."""

AeTitle = Annotated[str, AfterValidator(_ae_title)]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[str, Field(min_length=1)]
SerialNumber = Annotated[Name, AfterValidator(_serial_number)]
RegionKey = Annotated[Region, BeforeValidator(_region)]
GramsPerCm2 = Annotated[Decimal, AfterValidator(_grams_per_cm2)]
ConfigPath = Annotated[Path, AfterValidator(_beside_configuration)]


class TlsSettings(Section):
    """``[….tls]``: PEM files of our certificate and private key, and of the authority that signs the other side's."""

    certificate: ConfigPath
    key: ConfigPath
    ca: ConfigPath


class ClientTlsSettings(Section):
    """``[….tls]`` of a system that may ask for no certificate of ours, and that a public authority may have signed."""

    ca: ConfigPath | None = None
    certificate: ConfigPath | None = None
    key: ConfigPath | None = None

    @model_validator(mode="after")
    def _has_both_or_neither(self) -> Self:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key belong together")
        return self
