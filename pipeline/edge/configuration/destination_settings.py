"""Settings of ``[[destination]]``: who gets the addenda, by which kind of interface, and what makes a delivery count.

Each kind is one class here and one module in ``pipeline/edge/deliver/``. ``kind`` chooses; without it a destination is
a PACS that is called over DICOM.
"""

from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from pipeline.edge.configuration.hl7_mapping import read_mapping
from pipeline.edge.configuration.login_settings import LoginSettings
from pipeline.edge.configuration.section import AeTitle, ClientTlsSettings, ConfigPath, Name, Port, Section, TlsSettings
from pipeline.edge.configuration.urls import parts_of_url
from pipeline.edge.ip_address import LOOPBACK
from pipeline.messages.hl7.mapping import Hl7Mapping


def _without_repetition(content: tuple[str, ...]) -> tuple[str, ...]:
    for form in content:
        if content.count(form) > 1:
            raise ValueError(f"{form!r} is listed twice")
    return content


Form = Literal["sr", "image", "pdf"]
"""A form in which an addendum may be sent."""

_ENCLOSING = (Field(min_length=1), AfterValidator(_without_repetition))

Forms = Annotated[tuple[Form, ...], *_ENCLOSING]


class DestinationSettings(Section):
    """What every kind of ``[[destination]]`` has: a name, the forms of an addendum, the longest wait between tries."""

    name: Name
    content: Forms = ("sr",)
    longest_wait_seconds: Annotated[float, Field(ge=1, le=86_400)] = 3600

    @property
    def delivered_forms(self) -> tuple[Form, ...]:
        """The forms that are deliveries of their own; a form that is only enclosed with another one is none."""
        return self.content

    @property
    def takes_replacements(self) -> bool:
        """Whether an addendum there takes the place of the one it supersedes, so that the earlier may not come last."""
        return False


class DicomDestination(DestinationSettings):
    """``kind = "dicom"``: a PACS that gets every addendum by C-STORE, and how delivery is confirmed."""

    kind: Literal["dicom"] = "dicom"
    ae_title: AeTitle
    host: Name
    port: Port
    proof: Literal["commitment", "find", "none"] = "none"
    history: bool = False
    retrieve: Literal["move", "get"] = "move"
    tls: TlsSettings | None = None


class FolderDestination(DestinationSettings):
    """``kind = "folder"``: a folder that gets every addendum as a DICOM file (PS3.10), named by its UID."""

    kind: Literal["folder"]
    folder: ConfigPath


class Hl7Destination(DestinationSettings):
    """``kind = "hl7"``: a system that gets every result as an HL7 version 2 message (ORU^R01) over MLLP."""

    kind: Literal["hl7"]
    host: Name
    port: Port
    mapping: Annotated[Hl7Mapping, BeforeValidator(read_mapping)]
    answer_seconds: Annotated[float, Field(ge=1, le=60)] = 30
    content: Annotated[tuple[Literal["sr", "pdf"], ...], *_ENCLOSING] = ("sr",)
    tls: ClientTlsSettings | None = None

    @model_validator(mode="after")
    def _has_what_the_mapping_encloses(self) -> Self:
        if self.mapping.encloses_pdf != ("pdf" in self.content):
            raise ValueError('content: "pdf" is listed exactly where the mapping has an obx with {pdf}')
        return self

    @property
    def delivered_forms(self) -> tuple[Form, ...]:
        """One message for each addendum; its pages are enclosed."""
        return ("sr",)

    @property
    def takes_replacements(self) -> bool:
        """A correction replaces what the same order had before."""
        return True


def _http_url(text: str) -> str:
    url = parts_of_url(text, "http", "https")
    if url is None or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a URL of this kind is https://host:port/path")
    if url.username or url.password or url.query or url.fragment:
        raise ValueError("host, port and path alone; a login has a section of its own")
    return text


class HttpDestination(DestinationSettings):
    """What the kinds have in common that are called over HTTP: URL, login and TLS."""

    url: Annotated[str, AfterValidator(_http_url)]
    login: LoginSettings | None = None
    tls: ClientTlsSettings | None = None

    @model_validator(mode="after")
    def _keeps_a_login_secret(self) -> Self:
        scheme = urlsplit(self.url).scheme
        if scheme == "http" and (self.login or self.tls) and self.host not in LOOPBACK:
            raise ValueError("login and tls need https://")
        return self

    @property
    def host(self) -> str:
        """The server's name or address."""
        return urlsplit(self.url).hostname or ""


class StowDestination(HttpDestination):
    """``kind = "stow"``: an archive that gets every addendum over DICOMweb (STOW-RS), and may be asked for history."""

    kind: Literal["stow"]
    proof: Literal["find", "none"] = "none"
    history: bool = False


def _uri(text: str) -> str:
    if not urlsplit(text).scheme or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a URI, such as urn:oid:1.2.3 or https://hospital.example/patients")
    return text


Uri = Annotated[str, AfterValidator(_uri)]


class FhirDestination(HttpDestination):
    """``kind = "fhir"``: a FHIR R4 server that gets every result as a DiagnosticReport with Observations."""

    kind: Literal["fhir"]
    content: Annotated[tuple[Literal["sr", "pdf"], ...], *_ENCLOSING] = ("sr",)
    patient_system: Uri | None = None
    accession_system: Uri | None = None

    @property
    def delivered_forms(self) -> tuple[Form, ...]:
        """One transaction for each addendum; its pages are enclosed."""
        return ("sr",)

    @property
    def takes_replacements(self) -> bool:
        """A later result replaces the resources of the earlier one."""
        return True


def kind_of(destination: object) -> str:
    """Return the ``kind`` of a destination, as settings or as it is written; without one it is ``dicom``."""
    written = destination.get("kind", "dicom") if isinstance(destination, dict) else getattr(destination, "kind", "")
    return str(written)


KINDS = ("dicom", "stow", "hl7", "fhir", "folder")
"""Every kind of destination."""

Destination = Annotated[
    Annotated[DicomDestination, Tag("dicom")]
    | Annotated[FolderDestination, Tag("folder")]
    | Annotated[Hl7Destination, Tag("hl7")]
    | Annotated[StowDestination, Tag("stow")]
    | Annotated[FhirDestination, Tag("fhir")],
    Discriminator(kind_of),
]
"""A destination of any kind."""
