"""The names that a mapping may put in braces, by what stands behind each: texts, numbers, codes, dates, identities."""

from pipeline.messages.quantities import EXAM_CODES, REGION_CODES, REGION_DATES, REGION_NUMBERS, SECTIONS

TEXTS = frozenset([*SECTIONS, "conclusions", "note"])
"""Texts of one or more sentences: ``conclusions`` are all of them, ``note`` says what was corrected."""

NUMBERS = frozenset(REGION_NUMBERS)

CODED = frozenset([*REGION_CODES, *EXAM_CODES])

WITH_CODE = NUMBERS | CODED
"""The values for which ``{code}`` is known."""

IDENTITY = frozenset(
    [
        *("patient_id", "issuer", "birth_date", "sex", "patient_name", "referring_physician"),
        *("accession", "study_id", "study_uid", "study_description", "order", "sop_instance_uid", "control_id"),
        *("manufacturer", "model", "serial_number", "software", "performed_at", "authored_at", "result_status"),
    ]
)
"""Who and what a message is about, for any field."""

FIELD_NAMES = IDENTITY
EXAM_NAMES = TEXTS | EXAM_CODES.keys() | IDENTITY | {"pdf"}
REGION_NAMES = frozenset(
    [*REGION_NUMBERS, *REGION_CODES, *REGION_DATES, "region", "region_key", "region_id", *IDENTITY]
)
