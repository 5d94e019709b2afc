"""Read the answer to a message: the acknowledgement code and what it answers (HL7 v2.5.1 chapters 2.9 and 2.15.8)."""

from dataclasses import dataclass

ACCEPTED = ("AA", "CA")
"""The receiver has the message: application accept, commit accept (HL7 table 0008)."""

REFUSED = ("AE", "CE")
"""Something is wrong with this message."""

REJECTED = ("AR", "CR")
"""The receiver takes no such message now."""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """MSA-1 and MSA-2 of an answer."""

    code: str
    control_id: str


def read_acknowledgement(answer: bytes) -> Acknowledgement | None:
    """Return what an answer acknowledges; ``None`` where it is no HL7 acknowledgement.

    Its texts are not read: they may quote the patient.
    """
    text = answer.decode("latin-1").strip("\r\n ")
    if not text.startswith("MSH") or len(text) < 4:
        return None
    separator = text[3]
    for line in text.replace("\n", "\r").split("\r"):
        fields = line.split(separator)
        if fields[0] == "MSA" and len(fields) > 2 and fields[1] in (*ACCEPTED, *REFUSED, *REJECTED):
            return Acknowledgement(fields[1], fields[2].strip())
    return None
