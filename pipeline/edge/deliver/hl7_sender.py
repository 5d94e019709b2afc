"""Send addenda as HL7 v2 result messages (ORU^R01) over MLLP, and wait for each acknowledgement.

AA and CA mean that the receiver has it. AE and CE are a refusal, like a failure status of C-STORE. AR, CR, silence and
anything that is no acknowledgement of this message leave it to be sent again: under the same message control id, for
MLLP cannot tell whether a message without an answer has arrived.
"""

import time
from collections.abc import Generator, Sequence

from pipeline.edge.configuration.destination_settings import Hl7Destination
from pipeline.edge.deliver.mllp import MllpConnection, NoAnswerError
from pipeline.edge.deliver.results_on_file import ResultsOnFile
from pipeline.edge.deliver.sender import (
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    UndeliverableError,
    UnwritableError,
)
from pipeline.edge.dicom_net.client import PeerUnavailableError
from pipeline.edge.dicom_net.tls import TlsError, for_client
from pipeline.edge.errors import describe_error, require_fault_of_one
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.messages.hl7.acknowledgement import ACCEPTED, REFUSED, read_acknowledgement
from pipeline.messages.hl7.oru import UnwritableLetterError, control_id, write_message

BATCH_SECONDS = 120
"""How long one connection may send; well within a lease, however slowly a receiver answers."""


class Hl7Sender:
    """Sends to a system that takes HL7 version 2."""

    proof = "acknowledgement"

    def __init__(self, to: Hl7Destination, results: ResultsOnFile) -> None:
        self._to, self._results = to, results

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Send a message for each addendum over one connection."""
        end = time.monotonic() + BATCH_SECONDS
        with self._connection() as connection:
            answered: set[str] = set()
            for addendum in addenda:
                if time.monotonic() > end:
                    return
                problem = self._deliver_one(connection, addendum, answered)
                yield problem
                if isinstance(problem, DeliveryUnavailableError):
                    return  # whatever comes next on this connection may answer this message

    def check(self) -> None:
        """Verify that somebody takes connections there; nothing is sent, as every message would change something."""
        with self._connection():
            pass

    def _connection(self) -> MllpConnection:
        try:
            tls = for_client(self._to.tls) if self._to.tls else None
        except TlsError as unusable:
            raise PeerUnavailableError(str(unusable)) from None
        return MllpConnection(self._to.host, self._to.port, tls)

    def _deliver_one(
        self, connection: MllpConnection, addendum: AddendumOnFile, answered: set[str]
    ) -> DeliveryError | None:
        try:
            identifier, message = self._message(addendum)
            connection.send(message)
            code = self._answer(connection, identifier, answered)
        except NoAnswerError as silence:
            return DeliveryUnavailableError(str(silence))
        except UnwritableLetterError as unwritable:
            return UnwritableError(str(unwritable))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with one, the others are sent
            require_fault_of_one(error)
            return UndeliverableError(describe_error(error))
        if code in ACCEPTED:
            return None
        problem = f"message {identifier} was answered with {code}"
        return DeliveryRefusedError(problem) if code in REFUSED else DeliveryUnavailableError(problem)

    def _message(self, addendum: AddendumOnFile) -> tuple[str, bytes]:
        result, earlier = self._results.results(addendum)
        pdf = self._results.pdf(addendum) if self._to.mapping.encloses_pdf else None
        message = write_message(result, self._to.mapping, earlier=earlier, pdf=pdf)
        return control_id(result), message

    def _answer(self, connection: MllpConnection, identifier: str, answered: set[str]) -> str:
        """Return the code by which a message is acknowledged.

        A receiver in enhanced mode may answer a message it has committed to once more; that answer is passed over.

        Raises:
            NoAnswerError: none came.
        """
        until = time.monotonic() + self._to.answer_seconds
        while True:
            answer = read_acknowledgement(connection.receive(until=until))
            if answer is None:
                raise NoAnswerError("its answer is no HL7 acknowledgement")
            if answer.control_id == identifier:
                answered.add(identifier)
                return answer.code
            if answer.control_id not in answered:
                raise NoAnswerError("it acknowledged another message than this one")
