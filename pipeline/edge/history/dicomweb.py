"""Search an archive for a patient's reports by QIDO-RS, and retrieve them by WADO-RS (PS3.18 10.6 and 10.4)."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

from pipeline.clinical.model import Patient
from pipeline.edge.configuration.destination_settings import StowDestination
from pipeline.edge.history.archived_instance import MODALITIES, TAKEN, ArchivedInstance, is_of
from pipeline.edge.http_client import HttpClient, Response, require_welcome
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem
from pipeline.edge.store import receipts
from pipeline.edge.store.database import Database
from pipeline.edge.store.receipts import Instance
from pipeline.sr.dicom.reader import read_elements, split_file

PAGE = 200
"""Matches asked for in one request; an archive that has more is asked again from there."""

MOST_PAGES = 500

ACCEPT = 'multipart/related; type="application/dicom"; transfer-syntax=*'

_BOUNDARY = re.compile(r'boundary="?([^";]+)"?', re.IGNORECASE)
_UID = re.compile(r"[0-9.]{1,64}")

_Match = Mapping[str, object]


def search(archive: StowDestination, who: Patient) -> tuple[list[str], list[ArchivedInstance]]:
    """Return the studies of a patient, and the instances in them that may be reports or images with results.

    Raises:
        PeerUnavailableError: the archive did not answer, or not with matches.
    """
    with _client(archive) as client:
        studies = [
            _uid(match, "0020000D")
            for match in _search(client, "/studies", {"PatientID": who.patient_id, "includefield": "00100021"})
            if is_of(who, _text(match, "00100020"), _text(match, "00100021"))
        ]
        return studies, [one for study in studies for one in _instances(client, study)]


def retrieve(database: Database, archive: StowDestination, wanted: Sequence[ArchivedInstance]) -> None:
    """Retrieve instances one by one, and store each as history.

    Raises:
        PeerUnavailableError: the archive did not send one of them.
        StoreError: the database could not be reached.
    """
    with _client(archive) as client:
        for one in wanted:
            path = f"/studies/{one.study}/series/{one.series}/instances/{one.instance}"
            data_set, syntax = split_file(_only_part(_request(client, path, ACCEPT)))
            header = read_elements(data_set, syntax)
            sop_class = header.get(0x00080016)
            instance = Instance(
                sop_class_uid=_plain(sop_class),
                sop_instance_uid=one.instance,
                transfer_syntax_uid=syntax,
                data_set=data_set,
            )
            with database.write() as connection:
                receipts.store(
                    connection, instance, calling_ae_title=archive.name, at=datetime.now(UTC), historical=True
                )


def _client(archive: StowDestination) -> HttpClient:
    return HttpClient(archive)


def _instances(client: HttpClient, study: str) -> Iterator[ArchivedInstance]:
    for match in _search(client, f"/studies/{study}/series", {}):
        if _text(match, "00080060") in MODALITIES:
            series = _uid(match, "0020000E")
            for found in _search(client, f"/studies/{study}/series/{series}/instances", {}):
                if _text(found, "00080016") in ("", *TAKEN):
                    yield ArchivedInstance(study, series, _uid(found, "00080018"))


def _search(client: HttpClient, path: str, query: Mapping[str, str]) -> Iterator[_Match]:
    """Yield the matches of a search, page by page; an archive that knows no pages sends all at once, each time."""
    seen: set[str] = set()
    for page in range(MOST_PAGES):
        parameters = {**query, "limit": str(PAGE), "offset": str(page * PAGE)}
        matches = _matches(_request(client, path, "application/dicom+json", parameters))
        new = {key: match for match in matches if (key := json.dumps(match, sort_keys=True)) not in seen}
        seen.update(new)
        yield from new.values()
        if len(new) < PAGE:
            return
    raise _unusable("QIDO-RS", "does not end")


def _request(client: HttpClient, path: str, accept: str, parameters: Mapping[str, str] | None = None) -> Response:
    try:
        response = client.request("GET", path, headers={"Accept": accept}, parameters=parameters)
    except NoAnswerError as silence:
        raise silence.as_unavailable() from None
    service = "WADO-RS" if accept == ACCEPT else "QIDO-RS"
    require_welcome(response, service)
    if response.status not in (200, 204, 206):
        raise PeerUnavailableError(Problem.HTTP_STATUS, request=service, status=response.status)
    return response


def _matches(response: Response) -> list[_Match]:
    try:
        found = json.loads(response.body) if response.body.strip() else []
    except (ValueError, RecursionError):
        raise _unusable("QIDO-RS", "is no DICOM JSON") from None
    if not isinstance(found, list) or not all(isinstance(match, dict) for match in found):
        raise _unusable("QIDO-RS", "is no list of matches")
    return found


def _text(match: _Match, tag: str) -> str:
    """Return the value of an attribute in the DICOM JSON model (PS3.18 annex F); empty where there is none."""
    element = match.get(tag)
    values = element.get("Value") if isinstance(element, dict) else None
    return str(values[0]) if isinstance(values, list) and values else ""


def _uid(match: _Match, tag: str) -> str:
    """Return a UID, which becomes part of the next URL."""
    uid = _text(match, tag)
    if not _UID.fullmatch(uid):
        raise _unusable("QIDO-RS", "lacks a UID")
    return uid


def _only_part(response: Response) -> bytes:
    """Return the body of the one part of a multipart answer (RFC 2046 5.1)."""
    boundary = _BOUNDARY.search(response.content_type)
    if boundary is None:
        raise _unusable("WADO-RS", "is not multipart")
    delimiter = b"--" + boundary[1].encode("latin-1")
    _, _, rest = response.body.partition(delimiter)
    _, blank, body = rest.partition(b"\r\n\r\n")
    end = body.rfind(b"\r\n" + delimiter)
    if not blank or end < 0:
        raise _unusable("WADO-RS", "is not whole")
    return body[:end]


def _plain(value: object) -> str:
    return value.decode("latin-1").rstrip(" \0") if isinstance(value, bytes) else str(value or "")


def _unusable(request: str, error: str) -> PeerUnavailableError:
    return PeerUnavailableError(Problem.ANSWER_UNUSABLE, request=request, error=error)
