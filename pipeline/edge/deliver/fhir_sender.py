"""Put results to a FHIR R4 server, each as one transaction (FHIR R4 3.1.0.11.2).

A server has a result when it answers that the transaction was carried out, entry by entry. Every resource is put under
an id of its own, so that a transaction of which the answer was lost may be sent again.
"""

import json
from collections.abc import Generator, Sequence
from functools import partial

from pipeline.edge.configuration.destination_settings import FhirDestination
from pipeline.edge.deliver.batch import deliver_each
from pipeline.edge.deliver.results_on_file import ResultsOnFile
from pipeline.edge.deliver.sender import (
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
)
from pipeline.edge.http_client import RETRY, HttpClient, Response, problem_of, require_welcome
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.messages.fhir.bundle import Systems, write_bundle

FHIR_JSON = "application/fhir+json"

CAPABILITIES = "the request for its capabilities"


class FhirSender:
    """Sends to a FHIR server."""

    proof = "answer to the transaction"

    def __init__(self, to: FhirDestination, results: ResultsOnFile) -> None:
        self._to, self._results = to, results
        self._systems = Systems(patient=to.patient_system or "", accession=to.accession_system or "")

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Put each result in a transaction of its own."""
        with HttpClient(self._to) as client:
            yield from deliver_each(addenda, partial(self._put, client))

    def check(self) -> None:
        """Verify that the server tells what it can, and that it is of a version that we write."""
        with HttpClient(self._to) as client:
            try:
                response = client.request("GET", "/metadata", headers={"Accept": FHIR_JSON})
            except NoAnswerError as silence:
                raise silence.as_unavailable() from None
        require_welcome(response, CAPABILITIES)
        version = _read(response).get("fhirVersion")
        if response.status != 200 or not isinstance(version, str):
            error = f"is HTTP {response.status}, and no FHIR capability statement"
            raise PeerUnavailableError(Problem.ANSWER_UNUSABLE, request=CAPABILITIES, error=error)
        if not version.startswith("4."):
            error = "tells of another version of FHIR than R4"
            raise PeerUnavailableError(Problem.ANSWER_UNUSABLE, request=CAPABILITIES, error=error)

    def _put(self, client: HttpClient, addendum: AddendumOnFile) -> None:
        result, earlier = self._results.results(addendum)
        bundle, entries = write_bundle(
            result,
            systems=self._systems,
            earlier=earlier,
            pdf=self._results.pdf(addendum) if "pdf" in self._to.content else None,
        )
        headers = {"Accept": FHIR_JSON, "Content-Type": f"{FHIR_JSON}; charset=utf-8"}
        response = client.request("POST", "", headers=headers, content=bundle)
        require_welcome(response, "the transaction")
        facts = {"request": "the transaction", "status": response.status}
        if response.status in RETRY:
            raise DeliveryUnavailableError(Problem.BUSY, **facts)
        if response.status not in (200, 201):
            raise DeliveryRefusedError(problem_of(response.status), **facts)
        if not _is_carried_out(response, entries):
            raise DeliveryUnavailableError(Problem.NOT_CONFIRMED, **facts)


def _is_carried_out(response: Response, entries: int) -> bool:
    """Return whether an answer is the response to a transaction of so many entries, each of which succeeded."""
    answer = _read(response)
    told = answer.get("entry")
    if answer.get("type") != "transaction-response" or not isinstance(told, list) or len(told) != entries:
        return False
    outcomes = [entry.get("response") if isinstance(entry, dict) else None for entry in told]
    return all(isinstance(one, dict) and str(one.get("status", "")).startswith("2") for one in outcomes)


def _read(response: Response) -> dict[str, object]:
    try:
        answer = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}
