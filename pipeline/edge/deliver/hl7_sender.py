"""Send addenda as HL7 v2 result messages (ORU^R01) over MLLP, and wait for each acknowledgement.

AA and CA mean that the receiver has it. AE and CE are a refusal, like a failure status of C-STORE. AR, CR, silence and
anything that is no acknowledgement of this message leave it to be sent again: under the same message control id, for
MLLP cannot tell whether a message without an answer has arrived.
"""

import time
from collections.abc import Generator, Sequence
from functools import partial

from pipeline.edge.configuration.destination_settings import Hl7Destination
from pipeline.edge.deliver.batch import deliver_each
from pipeline.edge.deliver.mllp import MllpConnection
from pipeline.edge.deliver.results_on_file import ResultsOnFile
from pipeline.edge.deliver.sender import (
    DeliveryError,
    DeliveryRefusedError,
    DeliveryUnavailableError,
    UnwritableError,
)
from pipeline.edge.dicom_net.tls import TlsError, for_client
from pipeline.edge.peer_problems import NoAnswerError, PeerUnavailableError, Problem
from pipeline.edge.store.outbox import AddendumOnFile
from pipeline.messages.hl7.acknowledgement import ACCEPTED, REFUSED, read_acknowledgement
from pipeline.messages.hl7.oru import UnwritableLetterError, control_id, write_message


class Hl7Sender:
    """Sends to a system that takes HL7 version 2."""

    proof = "acknowledgement"

    def __init__(self, to: Hl7Destination, results: ResultsOnFile) -> None:
        self._to, self._results = to, results

    def deliver(self, addenda: Sequence[AddendumOnFile], *, attempt: int) -> Generator[DeliveryError | None]:
        """Send a message for each addendum over one connection."""
        with self._connection() as connection:
            yield from deliver_each(addenda, partial(self._send, connection, set()))

    def check(self) -> None:
        """Verify that somebody takes connections there; nothing is sent, as every message would change something."""
        with self._connection():
            pass

    def _connection(self) -> MllpConnection:
        try:
            tls = for_client(self._to.tls) if self._to.tls else None
        except TlsError as unusable:
            raise PeerUnavailableError(Problem.SECRET_UNUSABLE, error=unusable) from None
        return MllpConnection(self._to.host, self._to.port, tls)

    def _send(self, connection: MllpConnection, answered: set[str], addendum: AddendumOnFile) -> None:
        try:
            identifier, message = self._message(addendum)
        except UnwritableLetterError as unwritable:
            raise UnwritableError(Problem.LETTER_MISSING, error=unwritable) from None
        connection.send(message)
        code = self._answer(connection, identifier, answered)
        if code in REFUSED:
            raise DeliveryRefusedError(Problem.HL7_ERROR, message=identifier, code=code)
        if code not in ACCEPTED:
            raise DeliveryUnavailableError(Problem.HL7_REJECTED, message=identifier, code=code)

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
                raise NoAnswerError(Problem.ANSWER_UNUSABLE, request="our message", error="is no acknowledgement")
            if answer.control_id == identifier:
                answered.add(identifier)
                return answer.code
            if answer.control_id not in answered:
                raise NoAnswerError(Problem.HL7_OTHER_ANSWER)
