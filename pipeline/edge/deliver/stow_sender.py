"""Store addenda over DICOMweb: STOW-RS, and QIDO-RS as the proof (PS3.18 10.5 and 10.6).

An addendum is stored when the answer names it in the Referenced SOP Sequence and not in the Failed SOP Sequence. HTTP
200 alone says nothing: an archive may answer so and have kept nothing.
"""

import json
from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

from pydicom.uid import ExplicitVRLittleEndian

from pipeline.edge.configuration.destination_settings import StowDestination
from pipeline.edge.deliver.batch import deliver_each
from pipeline.edge.deliver.folder import as_file
from pipeline.edge.deliver.sender import (
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    DeliveryUnconfirmedError,
)
from pipeline.edge.dicom_net.statuses import OUT_OF_RESOURCES
from pipeline.edge.http_client import RETRY, HttpClient, Response, problem_of, require_welcome
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.sr.dicom.content_tree import header_text
from pipeline.sr.dicom.reader import read_elements

DICOM_JSON = "application/dicom+json"

BOUNDARY = "dxatrend-addendum-5f0b3b6e92a45c0d"
"""What separates the parts of a request: no addendum has it in it, and each request has one part."""

STORED = (200, 202)
"""HTTP statuses with which an archive tells which instances it stored (PS3.18 table 10.5.3-1), besides 409."""

FAILED, REFERENCED, REFERENCED_INSTANCE, FAILURE_REASON = "00081198", "00081199", "00081155", "00081197"

PROOF_NAMES = {"find": "QIDO-RS", "none": "answer to STOW-RS"}


class StowSender:
    """Sends to an archive over DICOMweb."""

    def __init__(self, to: StowDestination) -> None:
        self._to = to

    @property
    def proof(self) -> str:
        """The kind of proof that the settings ask for."""
        return PROOF_NAMES[self._to.proof]

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Store each addendum in a request of its own."""
        with HttpClient(self._to) as client:
            yield from deliver_each(addenda, partial(self._store, client))

    def check(self) -> None:
        """Verify by a search for no study that the archive answers; it need not offer QIDO-RS if we do not use it."""
        with HttpClient(self._to) as client:
            try:
                response = client.request(
                    "GET", "/studies", headers={"Accept": DICOM_JSON}, parameters={"StudyInstanceUID": "2.25.0"}
                )
            except NoAnswerError as silence:
                raise silence.as_unavailable() from None
        if response.status in (405, 501) and self._to.proof == "none" and not self._to.history:
            return
        require_welcome(response, "QIDO-RS")
        if response.status not in (200, 204):
            raise PeerUnavailableError(problem_of(response.status), request="QIDO-RS", status=response.status)

    def _store(self, client: HttpClient, addendum: AddendumOnFile) -> None:
        _store(client, addendum)
        if self._to.proof == "find":
            _confirm_by_query(client, addendum)


def _store(client: HttpClient, addendum: AddendumOnFile) -> None:
    part = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
    response = client.request(
        "POST",
        "/studies",
        headers={
            "Accept": DICOM_JSON,
            "Content-Type": f'multipart/related; type="application/dicom"; boundary={BOUNDARY}',
        },
        content=part + as_file(addendum) + f"\r\n--{BOUNDARY}--\r\n".encode("ascii"),
    )
    require_welcome(response, "STOW-RS")
    facts = {"request": "STOW-RS", "status": response.status}
    if response.status in RETRY:
        raise DeliveryUnavailableError(Problem.BUSY, **facts)
    stored, failed = _instances(response)
    if (reason := failed.get(addendum.sop_instance_uid)) is not None:
        failure = {"request": "STOW-RS", "status": f"failure reason 0x{reason:04X}"}
        if reason & 0xFF00 == OUT_OF_RESOURCES:
            raise DeliveryUnavailableError(Problem.FULL, **failure)
        raise DeliveryRefusedError(Problem.OBJECT_REFUSED, **failure)
    if response.status not in STORED:
        raise DeliveryRefusedError(problem_of(response.status), **facts)
    if addendum.sop_instance_uid not in stored:
        raise DeliveryUnavailableError(Problem.NOT_CONFIRMED, **facts)


def _instances(response: Response) -> tuple[set[str], dict[str, int]]:
    """Return which instances were stored, and which were not with their failure reasons (PS3.18 10.5.3.2)."""
    try:
        told = json.loads(response.body)
    except (ValueError, RecursionError):
        return set(), {}
    told = told[0] if isinstance(told, list) and told else told
    if not isinstance(told, dict):
        return set(), {}
    stored = {str(_value(item, REFERENCED_INSTANCE)) for item in _items(told, REFERENCED)}
    failed = {str(_value(item, REFERENCED_INSTANCE)): _value(item, FAILURE_REASON) for item in _items(told, FAILED)}
    return stored, {uid: reason if isinstance(reason, int) else 0 for uid, reason in failed.items()}


def _items(told: dict[str, Any], tag: str) -> list[dict[str, Any]]:
    element = told.get(tag)
    items = element.get("Value", []) if isinstance(element, dict) else []
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _value(item: dict[str, Any], tag: str) -> object:
    element = item.get(tag)
    values = element.get("Value", []) if isinstance(element, dict) else []
    return values[0] if isinstance(values, list) and values else None


def _confirm_by_query(client: HttpClient, addendum: AddendumOnFile) -> None:
    """Search for the addendum by its UIDs (QIDO-RS, instances of a series)."""
    header = read_elements(addendum.data_set, ExplicitVRLittleEndian)
    study, series = (header_text(header, f"{level}InstanceUID") for level in ("Study", "Series"))
    try:
        response = client.request(
            "GET",
            f"/studies/{study}/series/{series}/instances",
            headers={"Accept": DICOM_JSON},
            parameters={"SOPInstanceUID": addendum.sop_instance_uid},
        )
    except NoAnswerError as silence:
        raise DeliveryUnconfirmedError(Problem.PROOF_MISSING, error=f"no answer to QIDO-RS, {silence}") from None
    if response.status not in (200, 204, 404):
        error = f"QIDO-RS was answered with HTTP {response.status}"
        raise DeliveryUnconfirmedError(Problem.PROOF_MISSING, error=error)
    if addendum.sop_instance_uid not in found_instances(response):
        raise DeliveryUnconfirmedError(Problem.NOT_FOUND_YET, request="QIDO-RS")


def found_instances(response: Response) -> set[str]:
    """Return the SOP Instance UIDs in the answer to a search."""
    try:
        found = json.loads(response.body) if response.body else []
    except (ValueError, RecursionError):
        return set()
    return (
        {str(_value(one, "00080018")) for one in found if isinstance(one, dict)} if isinstance(found, list) else set()
    )
