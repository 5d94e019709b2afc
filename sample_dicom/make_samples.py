"""Make the reports that scanners would send of the synthetic patients, and what should be read from them.

Run it as ``python sample_dicom/make_samples.py [FOLDER]``: it rewrites every report and every expected.json below this
folder, or another, byte for byte the same each time.
"""

import json
import sys
from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import NAMESPACE_OID, uuid5
from zlib import crc32

from patients import SR_CLASSES, Outcome, Patient, Row, Scan, Scanner, Visit, patients
from pictures import HOLOGIC_MODES, add_picture
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage
from scores import age, one_decimal, scores


def make(folder: Path) -> None:
    """Write every sample below a folder."""
    for patient in patients():
        home = folder / patient.folder
        home.mkdir(parents=True, exist_ok=True)
        for stale in [*home.glob("*.dcm"), *home.glob("*.json"), home / REJECTION_NOTE]:
            stale.unlink(missing_ok=True)
        for visit in patient.visits:
            for number in range(1, len(visit.parts) + 1):
                write(report(patient, visit, number), home / f"{visit.on}-{number}.dcm")
            if visit.is_withdrawn:
                write(rejection_note(patient, visit), home / REJECTION_NOTE)
        told = json.dumps(expected(patient), indent=2, ensure_ascii=False)
        (home / "expected.json").write_text(f"{told}\n", encoding="utf-8")


REJECTION_NOTE = "rejection.ko"
"""Unlike the name of a report's file, as it is none."""

# Content items

Code = tuple[str, str, str]
SAMPLE = "99DXASAMPLE"
"""Vendors' own code values are not public; these are invented, and only their meanings are as reported."""

G_PER_CM2: Code = ("g/cm2", "UCUM", "g/cm2")
GRAM: Code = ("g", "UCUM", "g")
CM2: Code = ("cm2", "UCUM", "cm2")
PERCENT: Code = ("%", "UCUM", "%")
YEAR: Code = ("a", "UCUM", "years")
UNITY: Code = ("1", "UCUM", "no units")


def private(meaning: str, value: str = "") -> Code:
    """Return an invented code for a vendor's own concept."""
    return value or f"{crc32(meaning.encode()):08X}", SAMPLE, meaning


def coded(code: Code) -> list[Dataset]:
    """Return a code sequence."""
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return [item]


def container(concept: Code, *children: Dataset, relationship: str = "CONTAINS") -> Dataset:
    """Return a CONTAINER and its content."""
    item = _item("CONTAINER", concept, relationship)
    item.ContinuityOfContent = "SEPARATE"
    if children:
        item.ContentSequence = list(children)
    return item


def num(concept: Code, value: str, unit: Code) -> Dataset:
    """Return a NUM with its value exactly as printed."""
    measured = Dataset()
    measured.MeasurementUnitsCodeSequence = coded(unit)
    measured.NumericValue = value
    item = _item("NUM", concept, "CONTAINS")
    item.MeasuredValueSequence = [measured]
    return item


def text(concept: Code, value: str, relationship: str = "CONTAINS") -> Dataset:
    """Return a TEXT."""
    item = _item("TEXT", concept, relationship)
    item.TextValue = value
    return item


def uid_reference(concept: Code, value: str) -> Dataset:
    """Return a UIDREF that sets the context of its siblings."""
    item = _item("UIDREF", concept, "HAS OBS CONTEXT")
    item.UID = value
    return item


def code_item(concept: Code, value: Code, relationship: str, *children: Dataset) -> Dataset:
    """Return a CODE."""
    item = _item("CODE", concept, relationship)
    item.ConceptCodeSequence = coded(value)
    if children:
        item.ContentSequence = list(children)
    return item


def _item(value_type: str, concept: Code, relationship: str) -> Dataset:
    item = Dataset()
    if relationship:
        item.RelationshipType = relationship
    item.ValueType = value_type
    item.ConceptNameCodeSequence = coded(concept)
    return item


# GE Lunar: "DXA Report", as three public parsers read it

LUNAR_SCANS = {"AP Spine": "20001", "Left Femur": "20002", "Right Femur": "20003", "DualFemur": "20019"}


def lunar_content(patient: Patient, visit: Visit, scans: Sequence[Scan]) -> Dataset:
    """Return the root of one report."""
    return container(
        private("DXA Report", "1000"), *(_lunar_scan(patient, visit, scan) for scan in scans), relationship=""
    )


def _lunar_scan(patient: Patient, visit: Visit, scan: Scan) -> Dataset:
    regions = [_lunar_region(patient, visit, region) for region in scan.rows]
    if scan.name == "DualFemur":  # a difference between the sides is no measurement
        regions.append(container(private("Neck Diff."), num(private("BMD", "3"), "0.014", G_PER_CM2)))
    trends = [_lunar_trend(patient, visit, region) for region in scan.rows if region.key in ("L1-L4", "L1,L3-L4")]
    return container(private(scan.name, LUNAR_SCANS[scan.name]), *regions, *trends)


def _lunar_region(patient: Patient, visit: Visit, region: Row) -> Dataset:
    score = scores(patient, visit, region)
    return container(
        private(region.printed),
        num(private("BMD", "3"), region.bmd, G_PER_CM2),
        num(private("BMC", "5"), region.bmc, GRAM),
        num(private("AREA", "2"), region.area, CM2),
        text(private("BMD_TSCORE", "6"), score.t),
        text(private("BMD_ZSCORE", "8"), score.z),
        num(private("BMD_PYA", "7"), score.young_adult, PERCENT),
        num(private("BMD_PAM", "9"), score.age_matched, PERCENT),
    )


def _lunar_trend(patient: Patient, visit: Visit, region: Row) -> Dataset:
    """Return the vendor's own history, latest first: each date is a container's name, every BMD in it a trap."""
    visits = [v for v in (patient.visits if visit.is_withdrawn else patient.counted) if v.on <= visit.on]
    dated = [_lunar_trend_entry(patient, then, visits[i - 1] if i else None) for i, then in enumerate(visits)]
    return container(private(f"Trend {region.printed}"), *reversed(dated))


def _lunar_trend_entry(patient: Patient, then: Visit, before: Visit | None) -> Dataset:
    bmd = _largest_spine(then).bmd
    change = []
    if before is not None:
        difference = str(Decimal(bmd) - Decimal(_largest_spine(before).bmd))
        change.append(container(private("CHANGE_VS_PREVIOUS"), num(private("BMD", "3"), difference, G_PER_CM2)))
    return container(
        private(f"{date.fromisoformat(then.on):%m/%d/%Y}", "82"),
        num(private("AGE"), str(age(patient, then)), YEAR),
        num(private("BMD", "3"), bmd, G_PER_CM2),
        *change,
    )


def _largest_spine(visit: Visit) -> Row:
    return visit.scans[0].rows[-1]


# Hologic: "BMD Rate of Change Report", as a running quality-control system reads it


def hologic_content(patient: Patient, visit: Visit, scans: Sequence[Scan]) -> Dataset:
    """Return the root of one report, which carries one scan."""
    (scan,) = scans
    earlier = [
        (then, region)
        for then in patient.visits
        if then.on < visit.on
        for other in then.scans
        for region in other.rows
        if other.name == scan.name and region.printed in ("L1-L4", "Total")
    ]
    history = [
        container(
            private(region.printed),
            text(private("Scan Date"), then.on),
            num(private("BMD"), region.bmd, G_PER_CM2),
        )
        for then, region in earlier
    ]
    return container(
        private("BMD Rate of Change Report"),
        container(private("Scan Information"), text(private("Scan Mode"), HOLOGIC_MODES[scan.name])),
        container(
            private("Data Set 1"),
            text(private("Data Set Title"), f"DXA Results Summary: {scan.name}"),
            *(_hologic_region(patient, visit, region) for region in scan.rows),
        ),
        container(private("Data Set 2"), text(private("Data Set Title"), f"Results History: {scan.name}"), *history),
        relationship="",
    )


def _hologic_region(patient: Patient, visit: Visit, region: Row) -> Dataset:
    score = scores(patient, visit, region)
    return container(
        private(region.printed),
        num(private("Area"), region.area, CM2),
        num(private("BMC"), region.bmc, GRAM),
        num(private("BMD"), region.bmd, G_PER_CM2),
        num(private("T-score"), score.t, UNITY),
        num(private("PR(%)"), score.young_adult, PERCENT),
        num(private("Z-score"), score.z, UNITY),
        num(private("AM(%)"), score.age_matched, PERCENT),
    )


# DICOM TID 1500

FINDING_SITE: Code = ("363698007", "SCT", "Finding Site")
LATERALITY: Code = ("272741003", "SCT", "Laterality")
LOINC = {  # BMD, T-score, Z-score
    "spine": ("24966-4", "38267-1", "85394-5"),
    "left": ("46278-8", "80946-7", "80938-4"),
    "right": ("46279-6", "80945-9", "80937-6"),
}
SITES = {
    "L1-L4": ("122496007", "SCT", "Lumbar spine"),
    "femoral neck": ("29627003", "SCT", "Neck of femur"),
    "total hip": ("29836001", "SCT", "Hip"),
}
LEFT_OR_RIGHT = {"left": ("7771000", "SCT", "Left"), "right": ("24028007", "SCT", "Right")}


def tid1500_content(patient: Patient, visit: Visit, scans: Sequence[Scan]) -> Dataset:
    """Return the root of one report; patient 03's is a workstation's and names the scanner as procedure device."""
    groups = [_tid1500_group(patient, visit, region) for scan in scans for region in scan.rows]
    return container(
        ("126000", "DCM", "Imaging Measurement Report"),
        code_item(
            ("121049", "DCM", "Language of Content Item and Descendants"),
            ("en", "RFC5646", "English"),
            "HAS CONCEPT MOD",
        ),
        code_item(("121005", "DCM", "Observer Type"), ("121007", "DCM", "Device"), "HAS OBS CONTEXT"),
        uid_reference(("121012", "DCM", "Device Observer UID"), uid("observer")),
        *(_procedure_device(visit.scanner) if patient.number == "03" else []),
        code_item(
            ("121058", "DCM", "Procedure reported"),
            ("241686001", "SCT", "Dual energy X-ray photon absorptiometry"),
            "HAS CONCEPT MOD",
        ),
        container(("126010", "DCM", "Imaging Measurements"), *groups),
        relationship="",
    )


def _procedure_device(scanner: Scanner) -> list[Dataset]:
    return [
        text(("113877", "DCM", "Device Name"), "Room 4", "HAS OBS CONTEXT"),
        text(("113878", "DCM", "Device Manufacturer"), scanner.manufacturer, "HAS OBS CONTEXT"),
        text(("113879", "DCM", "Device Model Name"), scanner.model, "HAS OBS CONTEXT"),
        text(("113880", "DCM", "Device Serial Number"), scanner.serial_number, "HAS OBS CONTEXT"),
    ]


def _tid1500_group(patient: Patient, visit: Visit, region: Row) -> Dataset:
    part, _, side = region.key.rpartition(" ")
    lateral = [code_item(LATERALITY, LEFT_OR_RIGHT[side], "HAS CONCEPT MOD")] if part else []
    bmd, t_score, z_score = LOINC[side if part else "spine"]
    score = scores(patient, visit, region)
    return container(
        ("125007", "DCM", "Measurement Group"),
        text(("112039", "DCM", "Tracking Identifier"), region.key, "HAS OBS CONTEXT"),
        uid_reference(("112040", "DCM", "Tracking Unique Identifier"), uid(patient.folder, region.key)),
        code_item(FINDING_SITE, SITES[part or region.key], "HAS CONCEPT MOD", *lateral),
        num((bmd, "LN", "Bone density"), region.bmd, G_PER_CM2),
        num(private("Bone mineral content"), region.bmc, GRAM),
        num(("42798000", "SCT", "Area"), region.area, CM2),
        num((t_score, "LN", "T-score"), score.t, UNITY),
        num((z_score, "LN", "Z-score"), score.z, UNITY),
        num(private("Percent of young adult mean"), score.young_adult, PERCENT),
        num(private("Percent of age-matched mean"), score.age_matched, PERCENT),
    )


CONTENT = {"lunar": lunar_content, "hologic": hologic_content, "tid1500": tid1500_content}


# Whole reports


def uid(*parts: str) -> UID:
    """Return a UID derived from what it names (PS3.5 B.2)."""
    return UID(f"2.25.{uuid5(NAMESPACE_OID, '/'.join(('dxatrend samples', *parts))).int}")


def report(patient: Patient, visit: Visit, part: int) -> Dataset:
    """Return one report of a visit."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    on, at = visit.moments[part - 1].split() if visit.moments else (visit.on, visit.at)
    day = on.replace("-", "")
    ds.SOPClassUID = UID(patient.sop_class)
    ds.SOPInstanceUID = uid(patient.folder, visit.on, str(part))
    ds.StudyDate = ds.ContentDate = day
    ds.StudyTime = ds.ContentTime = at
    begun = visit.on.replace("-", "")
    ds.AccessionNumber = f"SMP{begun[2:]}{patient.number}"
    _add_equipment(ds, patient, visit)
    ds.InstitutionName = "Sample Hospital"
    ds.ReferringPhysicianName = ""
    ds.PatientName = f"Sample^{patient.folder[3:].replace('-', ' ').title()}"
    ds.PatientID = f"SAMPLE-{patient.number}"
    ds.IssuerOfPatientID = "SAMPLES"
    ds.PatientBirthDate = patient.born.replace("-", "")
    ds.PatientSex = patient.sex
    ds.PatientAge = f"{age(patient, visit):03}Y"
    ds.StudyInstanceUID = uid(patient.folder, visit.on)
    ds.SeriesInstanceUID = uid(patient.folder, visit.on, "series", str(part))
    ds.StudyID = begun
    ds.SeriesNumber = "1"
    ds.InstanceNumber = str(part)
    for keyword, told in patient.texts.items():
        setattr(ds, keyword, told)
    scans = [visit.scans[i] for i in visit.parts[part - 1]]
    if patient.sop_class in SR_CLASSES:
        _add_content(ds, patient, visit, scans)
    else:
        add_picture(ds, patient, visit, scans)
    return ds


def _add_content(ds: Dataset, patient: Patient, visit: Visit, scans: Sequence[Scan]) -> None:
    ds.Modality = "SR"
    ds.ReferencedPerformedProcedureStepSequence = []
    ds.CompletionFlag = "COMPLETE"
    ds.VerificationFlag = "UNVERIFIED"
    ds.PerformedProcedureCodeSequence = []
    ds.update(CONTENT[patient.dialect](patient, visit, scans))
    if patient.dialect == "tid1500":
        template = Dataset()
        template.MappingResource, template.TemplateIdentifier = "DCMR", "1500"
        ds.ContentTemplateSequence = [template]


def _add_equipment(ds: Dataset, patient: Patient, visit: Visit) -> None:
    if patient.number == "03":
        ds.Manufacturer, ds.ManufacturerModelName = "Sample Workstation", "SW-1"
        ds.DeviceSerialNumber, ds.SoftwareVersions = "SW1-0007", "9.0"
        return
    ds.Manufacturer, ds.ManufacturerModelName = visit.scanner.manufacturer, visit.scanner.model
    if visit.scanner.serial_number:
        ds.DeviceSerialNumber = visit.scanner.serial_number
    ds.SoftwareVersions = visit.scanner.software


def rejection_note(patient: Patient, visit: Visit) -> Dataset:
    """Return an archive's rejection note for a visit (IHE IOCM): a Key Object Selection that names its reports."""
    ds = report(patient, visit, 1)
    del ds.ContentSequence
    ds.SOPClassUID = KeyObjectSelectionDocumentStorage
    ds.SOPInstanceUID = uid(patient.folder, visit.on, "rejection")
    ds.SeriesInstanceUID = uid(patient.folder, visit.on, "series", "rejection")
    ds.Modality, ds.SeriesNumber, ds.InstanceNumber = "KO", "2", "1"
    reports = [uid(patient.folder, visit.on, str(number)) for number in range(1, len(visit.parts) + 1)]
    title = ("113038", "DCM", "Incorrect Modality Worklist Entry")
    ds.update(container(title, *(_composite(patient, one) for one in reports), relationship=""))
    series = []
    for number, one in enumerate(reports, start=1):
        item = Dataset()
        item.SeriesInstanceUID = uid(patient.folder, visit.on, "series", str(number))
        item.ReferencedSOPSequence = [_referenced(patient, one)]
        series.append(item)
    study = Dataset()
    study.StudyInstanceUID, study.ReferencedSeriesSequence = ds.StudyInstanceUID, series
    ds.CurrentRequestedProcedureEvidenceSequence = [study]
    for keyword in ("CompletionFlag", "VerificationFlag", "PerformedProcedureCodeSequence"):
        delattr(ds, keyword)
    return ds


def _composite(patient: Patient, instance: UID) -> Dataset:
    """Return a content item that refers to a report."""
    item = Dataset()
    item.RelationshipType, item.ValueType = "CONTAINS", "COMPOSITE"
    item.ReferencedSOPSequence = [_referenced(patient, instance)]
    return item


def _referenced(patient: Patient, instance: UID) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = UID(patient.sop_class), instance
    return item


def write(ds: Dataset, path: Path) -> None:
    """Return a file whose bytes depend on the report alone, not on the library's version."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ds.SOPClassUID
    meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = uid("implementation")
    meta.ImplementationVersionName = "DXASAMPLES"
    ds.file_meta = meta
    dcmwrite(path, ds, enforce_file_format=True)


# What we should see and say


def expected(patient: Patient) -> dict[str, Any]:
    """Return the content of expected.json."""
    withdrawn = [
        _expected_exam(patient, visit) | {"rejection_note": REJECTION_NOTE}
        for visit in patient.visits
        if visit.is_withdrawn
    ]
    return {
        "patient_id": patient.texts.get("PatientID", f"SAMPLE-{patient.number}"),
        "dialect": patient.dialect,
        "shows": patient.shows,
        "exams": [_expected_exam(patient, visit) for visit in patient.counted],
        **({"withdrawn": withdrawn} if withdrawn else {}),
    }


def _expected_exam(patient: Patient, visit: Visit) -> dict[str, Any]:
    rows = {region.key: region for scan in visit.scans for region in scan.rows}
    scanner = visit.scanner.known_as or visit.scanner
    return {
        "study_instance_uid": uid(patient.folder, visit.on),
        "date": visit.on,
        "reports": [
            {
                "file": f"{visit.on}-{number}.dcm",
                "sop_instance_uid": uid(patient.folder, visit.on, str(number)),
                "regions": [region.key for i in scans for region in visit.scans[i].rows],
            }
            for number, scans in enumerate(visit.parts, start=1)
        ],
        "scanner": {
            "manufacturer": scanner.normal_manufacturer,
            "model": scanner.model,
            "serial_number": scanner.serial_number,
        },
        "regions": {key: _expected_region(patient, visit, region) for key, region in rows.items()},
        "addendum": {
            "OVERALL": visit.overall,
            "FLAG": list(visit.flags),
            "regions": {
                key: _expected_finding(patient, visit, rows[key], visit.outcomes[key])
                for key in (() if visit.is_withdrawn else rows)
            },
        },
    }


def _expected_region(patient: Patient, visit: Visit, region: Row) -> dict[str, str]:
    score = scores(patient, visit, region)
    return {
        "bmd": region.bmd,
        "bmc": region.bmc,
        "area": region.area,
        "t_score": score.t,
        "z_score": score.z,
        "percent_young_adult": score.young_adult,
        "percent_age_matched": score.age_matched,
    }


def _expected_finding(patient: Patient, visit: Visit, region: Row, outcome: Outcome) -> dict[str, Any]:
    finding: dict[str, Any] = {"RESULT": outcome.result}
    if outcome.obstacles:
        finding["OBSTACLE"] = list(outcome.obstacles)
    if outcome.flags:
        finding["FLAG"] = list(outcome.flags)
    if not outcome.baseline:
        return finding
    earlier = [v for v in patient.counted if v.on < visit.on]
    prior = outcome.prior_bmd or _bmd(earlier[-1], region.key)
    baseline = outcome.prior_bmd or _bmd(earlier[0], region.key)
    now = Decimal(region.bmd)
    if outcome.lsc:
        finding["LSC"] = outcome.lsc
    return finding | {
        "PRIOR_DATE": earlier[-1].on,
        "PRIOR_BMD": prior,
        "DIFF": str(now - Decimal(prior)),
        "PDIFF": one_decimal(100 * (now - Decimal(prior)) / Decimal(prior)),
        "BASELINE_DATE": earlier[0].on,
        "BASELINE_BMD": baseline,
        "BRESULT": outcome.baseline,
        "BDIFF": str(now - Decimal(baseline)),
        "BPDIFF": one_decimal(100 * (now - Decimal(baseline)) / Decimal(baseline)),
    }


def _bmd(visit: Visit, key: str) -> str:
    return next(region.bmd for scan in visit.scans for region in scan.rows if region.key == key)


if __name__ == "__main__":
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    make(folder)
    print(f"{len(list(folder.glob('*/*.dcm')))} reports of {len(list(patients()))} patients in {folder}")
