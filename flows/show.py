"""What does a report say, which exam do we see in it, and what would we answer?"""

import sys
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import Connection

from pipeline.clinical.assemble import Contradiction
from pipeline.clinical.model import Exam, Finding, Interpretation
from pipeline.edge.follow_up import interpret_exam
from pipeline.edge.house import House
from pipeline.edge.store import exams, patients, receipts
from pipeline.sr.encoding import split_file
from pipeline.sr.extract import Report, UnreadableReport, extract
from pipeline.sr.outline import outline
from pipeline.sr.tree import read_instance, read_tree


def show(house: House, report: str) -> int:
    """Print a DICOM file, or the receipt of a number; the exit status."""
    try:
        data_set, transfer_syntax_uid = _bytes_of(house, report)
        instance = read_instance(data_set, transfer_syntax_uid)
        print(outline(read_tree(instance)))
        read = extract(instance, house.dialects, house.knowledge.aliases)
    except (UnreadableReport, FileNotFoundError) as problem:
        print(f"\n{problem}", file=sys.stderr)
        return 1
    with house.database.read() as connection:
        exam, remark = _exam(connection, report, read)
        history = exams.history(connection, exam.patient)
        contexts = patients.contexts_of(connection, exam.patient)
    print("", f"read as {read.dialect}", *_told(exam), *read.remarks, *remark, sep="\n")
    print("", *_said(interpret_exam(house, exam, history, contexts)), sep="\n")
    return 0


def _bytes_of(house: House, report: str) -> tuple[bytes, str]:
    if not report.isdecimal():
        return split_file(Path(report).read_bytes())
    with house.database.read() as connection:
        found = receipts.load(connection, [int(report)])
    if not found:
        raise FileNotFoundError(f"there is no receipt {report}")
    return found[0].instance.data_set, found[0].instance.transfer_syntax_uid


def _exam(connection: Connection, report: str, read: Report) -> tuple[Exam, tuple[str, ...]]:
    """The whole exam a receipt belongs to, or what one file says alone."""
    on_file = exams.exam_of(connection, int(report)) if report.isdecimal() else None
    if on_file is None:
        return read.exam, ()
    try:
        return on_file.exam(), (f"{len(on_file.reports)} reports make up this exam",)
    except Contradiction as contradiction:
        return read.exam, (f"the reports of this exam contradict each other: {contradiction}",)


def _told(exam: Exam) -> Iterator[str]:
    yield f"{exam.performed_at:%Y-%m-%d %H:%M}  {exam.scanner}"
    for measurement in exam.measurements:
        scores = [
            f"{name} {value}"
            for name, value in (("T", measurement.t_score), ("Z", measurement.z_score))
            if value is not None
        ]
        yield "  ".join([f"{measurement.region.key:<24}", f"{measurement.bmd} g/cm2", *scores])


def _said(interpretation: Interpretation) -> Iterator[str]:
    yield f"overall: {interpretation.overall}"
    for finding in interpretation.findings:
        yield f"{finding.measurement.region.key:<24}  {finding.result}{_difference(finding)}"
    yield from interpretation.conclusions


def _difference(finding: Finding) -> str:
    change = finding.since_prior
    return "" if change is None else f"  {change.difference:+} g/cm2 since {change.reference.performed_on}"
