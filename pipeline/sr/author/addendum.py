"""Author the addendum of an exam: a Comprehensive or Enhanced SR document after PS3.16 TID 1500.

Patient, study, identity, dates and content are encoded here, from tidied reports straight to bytes. highdicom encodes
what is the same in every addendum. For a whole document it would take a hundred times as long, refuse untidy headers
and log patients' names. The tests hold that of the same interpretation it makes the same bytes.

The same input gives the same bytes on any day and any machine, so no date is read from a clock. An addendum is dated
with the last report it rests on, and at least one second after the addendum it supersedes, so that it sorts last.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ComprehensiveSRStorage, EnhancedSRStorage, ExplicitVRLittleEndian

import pipeline
from pipeline.clinical.model import Interpretation
from pipeline.sr import codes
from pipeline.sr.author.content import DEVICE, as_enhanced_sr, digest, document
from pipeline.sr.author.iod_modules import contributing_equipment, dates, patient_and_study
from pipeline.sr.author.revision_note import revision_note
from pipeline.sr.dicom.content_item import Code, Item
from pipeline.sr.dicom.content_tree import header_text, read_tree
from pipeline.sr.dicom.header import Reference, check_same_patient, corrections, reference, tidy_header, written_at
from pipeline.sr.dicom.reader import Elements, read_elements
from pipeline.sr.dicom.uids import DEVICE_UID, derived_uid
from pipeline.sr.dicom.writer import Attributes, Authored, EncodedElements, coded, content, elements, encode

SOP_CLASS_UIDS = frozenset({ComprehensiveSRStorage, EnhancedSRStorage})
"""The SOP classes that an addendum may have."""

FIRST_SERIES_NUMBER = 900
"""Higher than the series numbers of densitometers; each superseding addendum takes the next number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """The content of an addendum, with a hexadecimal digest of it and of the reports that it rests on.

    Two interpretations with the same digest need no second addendum.
    """

    document: Item = field(repr=False)
    digest: str


def draft(interpretation: Interpretation, sources: Iterable[Elements]) -> Draft:
    """Return the content of the addendum to an exam with these reports, and its digest.

    Raises:
        UnusableEvidenceError: a source has no UIDs.
    """
    root = document(interpretation)
    source_uids = [reference(source).sop_instance_uid for source in sources]
    return Draft(document=root, digest=digest(root, interpretation.rules_version, source_uids))


def header_corrections(predecessor: bytes, sources: Sequence[Elements], study_instance_uid: str) -> tuple[str, ...]:
    """Name the attributes of patient and study that an addendum has otherwise than the reports of its exam now.

    Raises:
        UnusableEvidenceError: the reports have no header that an addendum can take over.
    """
    written = tidy_header([read_elements(predecessor, ExplicitVRLittleEndian)], study_instance_uid)
    return corrections(tidy_header(sorted(sources, key=_date_order), study_instance_uid), written)


def author(
    interpretation: Interpretation,
    *,
    sources: Sequence[Elements],
    priors: Sequence[Elements] = (),
    predecessor: bytes | None = None,
    sop_class_uid: str = ComprehensiveSRStorage,
    preliminary: bool = True,
    drafted: Draft | None = None,
) -> Authored:
    """Write the addendum of an exam, in a series of its own in the exam's study.

    The inputs are not altered, and the order of the reports does not matter.

    Args:
        interpretation: What was found; its exam is the one that the addendum is about.
        sources: The reports of the exam; their headers are enough.
        priors: The reports of the exams it was compared with; their headers are enough.
        predecessor: The data set of the addendum that this one replaces, in Explicit VR Little Endian.
        sop_class_uid: One of ``SOP_CLASS_UIDS``; some archives show only Enhanced SR.
        preliminary: Whether the Preliminary Flag (0040,A496) is PRELIMINARY or FINAL.
        drafted: The draft of this interpretation and these sources, where the caller has it already.

    Raises:
        UnusableEvidenceError: there is no source; a source is of another study; any report or the predecessor is of
            another patient, or lacks what an addendum needs.
        UnreadableReportError: the predecessor has no content tree.
    """
    exam = interpretation.exam
    predecessors = [] if predecessor is None else [read_elements(predecessor, ExplicitVRLittleEndian)]
    check_same_patient((*sources, *priors, *predecessors), exam.patient)
    reports = sorted(sources, key=_date_order)
    header = tidy_header(reports, exam.study_instance_uid)
    evidence = [reference(report) for report in (*reports, *sorted(priors, key=_date_order))]
    replaced = [reference(addendum) for addendum in predecessors]
    drafted = drafted or draft(interpretation, reports)
    root = drafted.document
    identity = (
        exam.study_instance_uid,
        drafted.digest,
        *(addendum.sop_instance_uid for addendum in replaced),
        *([] if sop_class_uid == ComprehensiveSRStorage else [sop_class_uid]),
        *([] if preliminary else ["FINAL"]),
    )
    sop_instance_uid = derived_uid("instance", *identity)
    version = 1 + max(map(_version, predecessors), default=0)
    attributes = {
        "SOPInstanceUID": sop_instance_uid,
        "SeriesInstanceUID": derived_uid("series", *identity),
        "SeriesNumber": FIRST_SERIES_NUMBER + version - 1,
        "InstanceNumber": version,
        "PreliminaryFlag": "PRELIMINARY" if preliminary else "FINAL",
        **patient_and_study(header),
        **dates(_authored_at(reports, predecessors) or exam.performed_at),
        **contributing_equipment(exam),
        **_evidence(evidence, header.study_instance_uid),
        **_predecessors(replaced),
    }
    for addendum in predecessors:
        changed = corrections(header, tidy_header([addendum], exam.study_instance_uid))
        root = document(interpretation, note=revision_note(root, read_tree(addendum), changed))
    if sop_class_uid == EnhancedSRStorage:
        root = as_enhanced_sr(root)
    return Authored(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        data_set=encode(_constant_elements(sop_class_uid), elements(attributes), content(root)),
    )


@cache
def _constant_elements(sop_class_uid: str) -> EncodedElements:
    """Encode what is the same in every addendum of a SOP class; none of it is about a patient.

    highdicom makes the modules that all SOP classes share: General Series, General Equipment, SOP Common. Identity and
    dates of an instance, which it asks for, are replaced in each addendum.
    """
    # Importing highdicom takes 0.5 s and 20 MB: only a process that authors an addendum should pay for it.
    from highdicom import SOPClass  # noqa: PLC0415
    from highdicom.coding_schemes import CodingSchemeIdentificationItem  # noqa: PLC0415

    replaced_uid = derived_uid("replaced in each addendum")
    general = SOPClass(
        study_instance_uid=replaced_uid,
        series_instance_uid=replaced_uid,
        series_number=FIRST_SERIES_NUMBER,
        sop_instance_uid=replaced_uid,
        sop_class_uid=sop_class_uid,
        instance_number=1,
        modality="SR",
        manufacturer=DEVICE,
        manufacturer_model_name=DEVICE,
        software_versions=pipeline.__version__,
        series_description="DXA follow-up",
        specific_character_set="ISO_IR 192",
        coding_schemes=[
            CodingSchemeIdentificationItem(
                designator=codes.SCHEME, name="dxatrend serial bone densitometry", responsible_organization="dxatrend"
            )
        ],
    )
    return {element.tag: _encoded(element) for element in general} | elements(_sr_document_general())


def _encoded(element: DataElement) -> bytes:
    """Encode one data element in Explicit VR Little Endian, with pydicom."""
    data_set = Dataset()
    data_set.add(element)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, data_set)
    return stream.getvalue()


def _sr_document_general() -> Attributes:
    """Return the constant attributes of the SR Document General module (PS3.3 C.17.2).

    The author is a device, accountable to the radiologist who reads the addendum.
    """
    observer: Attributes = {
        "ObserverType": "DEV",
        "StationName": "",
        "DeviceUID": DEVICE_UID,
        "Manufacturer": DEVICE,
        "ManufacturerModelName": f"{DEVICE} {pipeline.__version__}",
        "InstitutionName": "",
        "InstitutionCodeSequence": (),
    }
    return {
        "CompletionFlag": "COMPLETE",
        "VerificationFlag": "UNVERIFIED",
        "AuthorObserverSequence": [observer],
        "PerformedProcedureCodeSequence": [coded(codes.DXA)],
        "ReferencedPerformedProcedureStepSequence": (),
    }


def _version(addendum: Elements) -> int:
    """Return the number of an addendum among those of its exam, counted from one."""
    return int(header_text(addendum, "InstanceNumber"))


def _authored_at(reports: Iterable[Elements], predecessors: Iterable[Elements]) -> datetime | None:
    """Return when the last report was written, or one second after the predecessor if that is later."""
    times = [written for report in reports if (written := written_at(report))]
    times += [written + timedelta(seconds=1) for addendum in predecessors if (written := written_at(addendum))]
    return max(times, default=None)


def _date_order(report: Elements) -> tuple[str, str]:
    return str(written_at(report) or ""), reference(report).sop_instance_uid


def _evidence(evidence: Sequence[Reference], study_instance_uid: str) -> Attributes:
    """Return the evidence sequences: instances of this study, and of other studies (PS3.3 C.17.2)."""
    current = [instance for instance in evidence if instance.study_instance_uid == study_instance_uid]
    other = [instance for instance in evidence if instance.study_instance_uid != study_instance_uid]
    sequences = {"CurrentRequestedProcedureEvidenceSequence": _references(current)}
    return sequences | ({"PertinentOtherEvidenceSequence": _references(other)} if other else {})


def _predecessors(replaced: Sequence[Reference]) -> Attributes:
    if not replaced:
        return {}
    return {"PredecessorDocumentsSequence": _references(replaced, purpose=codes.REPLACED_REPORT)}


def _references(instances: Iterable[Reference], purpose: Code | None = None) -> list[Attributes]:
    """Return items of the Hierarchical SOP Instance Reference Macro (PS3.3 table C.17-3), each instance once."""
    studies: dict[str, dict[str, dict[str, Attributes]]] = {}
    for instance in instances:
        series = studies.setdefault(instance.study_instance_uid, {})
        series.setdefault(instance.series_instance_uid, {})[instance.sop_instance_uid] = {
            "ReferencedSOPClassUID": instance.sop_class_uid,
            "ReferencedSOPInstanceUID": instance.sop_instance_uid,
            **({"PurposeOfReferenceCodeSequence": [coded(purpose)]} if purpose else {}),
        }
    return [
        {
            "StudyInstanceUID": study_instance_uid,
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": series_instance_uid, "ReferencedSOPSequence": list(instances.values())}
                for series_instance_uid, instances in series.items()
            ],
        }
        for study_instance_uid, series in studies.items()
    ]
