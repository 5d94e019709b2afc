"""Reasons for which a report is held for a person, or ignored, instead of being read."""

from enum import StrEnum

from pipeline.errors import DxatrendError


class Reason(StrEnum):
    """Why a report is held or ignored; the store keeps the value, and a person reads ``sentence``."""

    NOT_DICOM = "not_dicom"
    TRUNCATED = "truncated"
    TOO_LARGE = "too_large"
    TOO_SLOW = "too_slow"
    NOT_A_REPORT = "not_a_report"
    PICTURE = "picture"
    OWN_ADDENDUM = "own_addendum"
    PHANTOM = "phantom"
    REJECTION_NOTE = "rejection_note"
    KEY_OBJECTS = "key_objects"
    RETENTION_EXPIRED = "retention_expired"
    NAMES_NOTHING = "names_nothing"
    UNKNOWN_DIALECT = "unknown_dialect"
    BROKEN_RESULTS = "broken_results"
    OTHER_METHOD = "other_method"
    NO_INSTANCE_UID = "no_instance_uid"
    OTHER_UID = "other_uid"
    NO_STUDY_UID = "no_study_uid"
    NO_PATIENT_ID = "no_patient_id"
    NO_STUDY_DATE = "no_study_date"
    OTHER_DATE = "other_date"
    IMPLAUSIBLE_DATE = "implausible_date"
    PLACEHOLDER_ID = "placeholder_id"
    OTHER_PATIENT = "other_patient"
    NO_BMD = "no_bmd"
    UNKNOWN_UNIT = "unknown_unit"
    IMPLAUSIBLE = "implausible"
    INCONSISTENT = "inconsistent"
    CONTRADICTORY = "contradictory"

    @property
    def sentence(self) -> str:
        """What happened, as a sentence for a person."""
        return _SENTENCES[self]


IGNORED_REASONS = frozenset(
    {Reason.OWN_ADDENDUM, Reason.PICTURE, Reason.PHANTOM, Reason.KEY_OBJECTS, Reason.RETENTION_EXPIRED}
)
"""Reasons for which a report is ignored: it is valid, and there is nothing for a person to do."""


class UnreadableReportError(DxatrendError):
    """A report that must be held for a person, or ignored.

    ``detail`` names DICOM fields, regions and codes, never a patient's data, as it is stored, shown and logged.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        super().__init__(f"{reason.sentence} ({detail})" if detail else reason.sentence)
        self.reason = reason
        self.detail = detail


_SENTENCES = {
    Reason.NOT_DICOM: "The bytes are not a DICOM data set in the transfer syntax they came with.",
    Reason.TRUNCATED: "The data set ends before its own lengths say it should; a part is missing.",
    Reason.TOO_LARGE: "The report is larger or deeper than any densitometer's report; it was not read to its end.",
    Reason.TOO_SLOW: "The report takes longer to read than any densitometer's report; it was not read to its end.",
    Reason.NOT_A_REPORT: "The object has no content tree, and no results beside one that we know.",
    Reason.PICTURE: "This is a densitometer's image without results in it.",
    Reason.OWN_ADDENDUM: "This is an addendum that dxatrend has written itself.",
    Reason.PHANTOM: "This is a scan of a phantom, kept separate from patients.",
    Reason.REJECTION_NOTE: "This note rejects instances that were sent before.",
    Reason.KEY_OBJECTS: "This selection of key objects rejects nothing.",
    Reason.RETENTION_EXPIRED: "This note says that instances are kept no longer; what they have measured stays valid.",
    Reason.NAMES_NOTHING: "This note rejects instances, without saying which.",
    Reason.UNKNOWN_DIALECT: "No dialect knows this kind of report; config/dialects may add one.",
    Reason.BROKEN_RESULTS: "The results beside the content tree cannot be read to their end.",
    Reason.OTHER_METHOD: "What was measured is no bone mineral density by DXA, and is not comparable with one.",
    Reason.NO_INSTANCE_UID: "The report has no usable SOP Instance UID (0008,0018) or SOP Class UID (0008,0016).",
    Reason.OTHER_UID: "The instance was sent under another UID than the one in it.",
    Reason.NO_STUDY_UID: "The report has no usable Study Instance UID (0020,000D).",
    Reason.NO_PATIENT_ID: "The report has no usable Patient ID (0010,0020).",
    Reason.NO_STUDY_DATE: "The report has neither a usable Acquisition Date nor a usable Study Date (0008,0020).",
    Reason.OTHER_DATE: "The results are dated on another day than the header.",
    Reason.IMPLAUSIBLE_DATE: "The dates of the exam cannot be true.",
    Reason.PLACEHOLDER_ID: "The patient's id or birth date is one that stands for nobody.",
    Reason.OTHER_PATIENT: "The results are of a patient with another birth date or sex than the header's.",
    Reason.NO_BMD: "The report holds no bone mineral density of a region we know.",
    Reason.UNKNOWN_UNIT: "A bone mineral density comes without a unit that the dialect knows.",
    Reason.IMPLAUSIBLE: "A bone mineral density lies outside 0.1 to 3.0 g/cm2; its unit may be wrong.",
    Reason.INCONSISTENT: "Bone mineral content divided by area is not the bone mineral density beside them.",
    Reason.CONTRADICTORY: "The report gives two different values for the same thing.",
}
