"""How does an interpretation become a DICOM object that any archive takes?

highdicom makes, once, the frame that is the same in every addendum. Patient, study, identity, dates and content are
written here from tidied reports straight into bytes: highdicom would take a hundred times as long, refuse what is
untidy, and write the patient's name into a log. In the tests it is the judge: of the same interpretation it must make
the same bytes.

The same input gives the same bytes on any day and any machine. So no date is read from a clock: the addendum is dated
with the last report it rests on, and at the earliest one second after the addendum it supersedes, so that the newest
sorts last.
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
from pipeline.sr.dicom.content_tree import Code, Item, read_instance, read_tree
from pipeline.sr.dicom.header import Reference, check_same_patient, corrections, reference, tidy_header, written_at
from pipeline.sr.dicom.uids import DEVICE_UID, derived_uid
from pipeline.sr.dicom.writer import Attributes, Authored, Elements, coded, content, elements, encode

SOP_CLASS_UIDS = frozenset({ComprehensiveSRStorage, EnhancedSRStorage})
"""The SOP classes that an addendum may have."""

FIRST_SERIES_NUMBER = 900
"""Above any number a densitometer uses in a study; each superseding addendum takes the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What an addendum says, and a hexadecimal digest of that and of the reports it rests on.

    Two interpretations with the same digest need no second addendum.
    """

    said: Item = field(repr=False)
    digest: str


def draft(interpretation: Interpretation, sources: Iterable[Dataset]) -> Draft:
    """What the addendum of an exam with these reports would say.

    Raises:
        UnusableEvidenceError: a source has no UIDs.
    """
    said = document(interpretation)
    source_uids = [reference(source).sop_instance_uid for source in sources]
    return Draft(said=said, digest=digest(said, interpretation.rules_version, source_uids))


def header_corrections(predecessor: bytes, sources: Sequence[Dataset], study_instance_uid: str) -> tuple[str, ...]:
    """What of patient and study an addendum quotes otherwise than the reports of its exam tell it now, by its words.

    Raises:
        UnusableEvidenceError: the reports have no header that can be quoted.
    """
    quoted = tidy_header([read_instance(predecessor, ExplicitVRLittleEndian)], study_instance_uid)
    return corrections(tidy_header(sorted(sources, key=_chronology), study_instance_uid), quoted)


def author(
    interpretation: Interpretation,
    *,
    sources: Sequence[Dataset],
    priors: Sequence[Dataset] = (),
    predecessor: bytes | None = None,
    sop_class_uid: str = ComprehensiveSRStorage,
    preliminary: bool = True,
    drafted: Draft | None = None,
) -> Authored:
    """The addendum: a structured report after PS3.16 TID 1500, in a series of its own in the exam's study.

    ``sources`` are the reports of the exam, ``priors`` those of the exams it was compared with: their headers will do.
    ``predecessor`` is the data set of the addendum that this one replaces. None of them is altered, and the order of
    the reports does not matter. ``sop_class_uid`` is one of ``SOP_CLASSES``: some archives show only Enhanced SR.
    ``drafted`` is the draft of just this interpretation and these sources, for a caller who has made it already.

    Raises:
        UnusableEvidenceError: there is no source, a source belongs to another study, anything to another patient,
            or lacks what an addendum cannot do without.
        UnreadableReportError: the predecessor has no content tree.
    """
    exam = interpretation.exam
    older = [] if predecessor is None else [read_instance(predecessor, ExplicitVRLittleEndian)]
    check_same_patient((*sources, *priors, *older), exam.patient)
    reports = sorted(sources, key=_chronology)
    header = tidy_header(reports, exam.study_instance_uid)
    evidence = [reference(report) for report in (*reports, *sorted(priors, key=_chronology))]
    replaced = [reference(earlier) for earlier in older]
    drafted = drafted or draft(interpretation, reports)
    said = drafted.said
    identity = (
        exam.study_instance_uid,
        drafted.digest,
        *(earlier.sop_instance_uid for earlier in replaced),
        *([] if sop_class_uid == ComprehensiveSRStorage else [sop_class_uid]),
        *([] if preliminary else ["FINAL"]),
    )
    sop_instance_uid = derived_uid("instance", *identity)
    version = 1 + max(map(_version, older), default=0)
    attributes = {
        "SOPInstanceUID": sop_instance_uid,
        "SeriesInstanceUID": derived_uid("series", *identity),
        "SeriesNumber": FIRST_SERIES_NUMBER + version - 1,
        "InstanceNumber": version,
        "PreliminaryFlag": "PRELIMINARY" if preliminary else "FINAL",
        **patient_and_study(header),
        **dates(_moment(reports, older) or exam.performed_at),
        **contributing_equipment(exam),
        **_evidence(evidence, header.study_instance_uid),
        **_predecessors(replaced),
    }
    for earlier in older:
        told = corrections(header, tidy_header([earlier], exam.study_instance_uid))
        said = document(interpretation, note=revision_note(said, read_tree(earlier), told))
    if sop_class_uid == EnhancedSRStorage:
        said = as_enhanced_sr(said)
    return Authored(
        sop_class_uid=sop_class_uid,
        sop_instance_uid=sop_instance_uid,
        data_set=encode(_constant_elements(sop_class_uid), elements(attributes), content(said)),
    )


@cache
def _constant_elements(sop_class_uid: str) -> Elements:
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


def _version(addendum: Dataset) -> int:
    """Which of an exam's addenda this is, counted from one."""
    return int(addendum.InstanceNumber)


def _moment(reports: Iterable[Dataset], older: Iterable[Dataset]) -> datetime | None:
    """When the last report was written, or just after the addendum that is replaced."""
    moments = [moment for report in reports if (moment := written_at(report))]
    moments += [moment + timedelta(seconds=1) for addendum in older if (moment := written_at(addendum))]
    return max(moments, default=None)


def _chronology(report: Dataset) -> tuple[str, str]:
    return str(written_at(report) or ""), reference(report).sop_instance_uid


def _evidence(evidence: Sequence[Reference], study: str) -> Attributes:
    """What was made for the current study, and what an earlier one was for (PS3.3 C.17.2)."""
    current = [instance for instance in evidence if instance.study_instance_uid == study]
    other = [instance for instance in evidence if instance.study_instance_uid != study]
    sequences = {"CurrentRequestedProcedureEvidenceSequence": _references(current)}
    return sequences | ({"PertinentOtherEvidenceSequence": _references(other)} if other else {})


def _predecessors(replaced: Sequence[Reference]) -> Attributes:
    if not replaced:
        return {}
    return {"PredecessorDocumentsSequence": _references(replaced, purpose=codes.REPLACED_REPORT)}


def _references(instances: Iterable[Reference], purpose: Code | None = None) -> list[Attributes]:
    """Items of the Hierarchical SOP Instance Reference Macro (PS3.3 table C.17-3), each instance once."""
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
            "StudyInstanceUID": study,
            "ReferencedSeriesSequence": [
                {"SeriesInstanceUID": uid, "ReferencedSOPSequence": list(instances.values())}
                for uid, instances in series.items()
            ],
        }
        for study, series in studies.items()
    ]
