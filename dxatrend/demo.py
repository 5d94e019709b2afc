"""Demonstration: send the sample patients through the whole service on loopback and check each addendum.

``var/demo`` holds the result: the configuration, the store, the log of the service, and the addenda as the archive
received them; ``dxatrend desk --demo`` shows it in a browser.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE
from pynetdicom.dsutils import encode
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from dxatrend.demo_installation import (
    CONFIG,
    FOLDER,
    LOOPBACK,
    SAMPLES,
    SCANNER,
    SERVICE,
    free_ports,
    make_anew,
    running_archive,
    running_service,
    write_service_settings,
)
from pipeline.edge.app import App, open_app
from pipeline.edge.dicom_net.statuses import SUCCESS
from pipeline.edge.store import service_status
from pipeline.sr.author.readback import ReadBack, read_back
from pipeline.sr.dicom.content_item import Item
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.reader import read_elements

TIMEOUT_SECONDS = 180

WIDE = 120
"""Columns of the table where the output is no terminal."""

_RESULTS = {"NO_PRIOR": "first exam", "INDETERMINATE": "no statement"}
"""Overall results whose words say more than their code in lower case."""


@dataclass(frozen=True, slots=True)
class Expected:
    """One exam of a sample patient: its reports, and what its addendum should contain."""

    folder: Path
    exam: Mapping[str, Any]

    @property
    def patient_id(self) -> str:
        """Patient ID."""
        return str(json.loads((self.folder / "expected.json").read_text(encoding="utf-8"))["patient_id"])

    @property
    def study(self) -> str:
        """Study Instance UID."""
        return str(self.exam["study_instance_uid"])

    @property
    def date(self) -> str:
        """The exam date as yyyy-mm-dd."""
        return str(self.exam["date"])

    @property
    def reports(self) -> list[Path]:
        """The files that its scanner sends."""
        return [self.folder / report["file"] for report in self.exam["reports"]]

    @property
    def rejection_note(self) -> Path | None:
        """The rejection note with which an archive withdraws it, if one does."""
        return self.folder / self.exam["rejection_note"] if "rejection_note" in self.exam else None

    def differences(self, addendum: ReadBack) -> list[str]:
        """Return where an addendum differs from what is expected; more cautions than expected are no difference."""
        return list(_differences(self.exam["addendum"], addendum))


def demo(*, outlines: bool = False) -> int:
    """Play every sample patient, print what became of each exam, and return 0 when all are as expected.

    ``outlines`` prints the content of each addendum as well.
    """
    console = Console(width=None if sys.stdout.isatty() else WIDE)
    exams = sorted((*expected_exams(), *withdrawn_exams()), key=lambda exam: (exam.date, exam.study))
    listener, archive, prefect, desk = free_ports(4)
    make_anew()
    write_service_settings(listener=listener, archive=archive, prefect=prefect, desk=desk)
    with running_archive(archive) as addenda, running_service():
        _play(console, exams, listener, addenda)
    of_patients = sorted(exams, key=lambda exam: (exam.folder.name, exam.date))
    answers = [(exam, _answer(exam, addenda)) for exam in of_patients]
    if outlines:
        for exam, answer in answers:
            _print_outline(console, exam, answer)
    console.print(_table(answers))
    wrong = sum(bool(answer.differences) for _, answer in answers)
    console.print(
        f"{len(exams)} exams of {len(_folders())} sample patients: "
        f"{f'{wrong} not as they should be' if wrong else 'all as they should be'}. The files are in {FOLDER}."
    )
    console.print("To look at them in a browser: .venv/bin/dxatrend desk --demo")
    return 1 if wrong else 0


def _folders() -> list[Path]:
    return sorted(path.parent for path in SAMPLES.glob("*/expected.json"))


def expected_exams() -> Iterator[Expected]:
    """Yield every exam of every sample patient."""
    for folder in _folders():
        for exam in json.loads((folder / "expected.json").read_text(encoding="utf-8"))["exams"]:
            yield Expected(folder, exam)


def withdrawn_exams() -> Iterator[Expected]:
    """Yield every exam of a sample patient that an archive withdraws with a rejection note."""
    for folder in _folders():
        for exam in json.loads((folder / "expected.json").read_text(encoding="utf-8")).get("withdrawn", ()):
            yield Expected(folder, exam)


def current(addenda: Sequence[Dataset]) -> list[Dataset]:
    """Return those of an exam's addenda that no other of them supersedes."""
    superseded = {
        instance.ReferencedSOPInstanceUID
        for addendum in addenda
        for study in addendum.get("PredecessorDocumentsSequence", ())
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }
    return [addendum for addendum in addenda if addendum.SOPInstanceUID not in superseded]


def _play(console: Console, exams: list[Expected], listener: int, addenda: list[Dataset]) -> None:
    """Send all reports in the order of the exam dates, then the rejection notes, and wait for the addenda."""
    columns = (TextColumn("{task.description:<32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console) as progress:
        sending = progress.add_task("reports sent to the listener", total=sum(len(exam.reports) for exam in exams))
        waiting = progress.add_task("addenda in the archive", total=len(exams))
        for exam in exams:
            for report in exam.reports:
                _send(report, listener)
                progress.advance(sending)
            progress.update(waiting, completed=_exams_with_addendum(exams, addenda))
        with open_app(CONFIG) as app:

            def wait_until_idle() -> None:
                deadline = time.monotonic() + TIMEOUT_SECONDS
                while not _is_idle(app) and time.monotonic() < deadline:
                    progress.update(waiting, completed=_exams_with_addendum(exams, addenda))
                    time.sleep(0.2)

            wait_until_idle()
            for note in filter(None, (exam.rejection_note for exam in exams)):
                _send(note, listener)
            wait_until_idle()
        progress.update(waiting, completed=_exams_with_addendum(exams, addenda))


def _is_idle(app: App) -> bool:
    """Return whether nothing waits: a slow machine may answer the first report of an exam before the second is sent."""
    with app.database.read() as connection:
        return service_status.status(connection, ["archive"], datetime.now(UTC)).is_idle


def _exams_with_addendum(exams: list[Expected], addenda: list[Dataset]) -> int:
    return len({exam.study for exam in exams} & {addendum.StudyInstanceUID for addendum in addenda})


def _send(report: Path, port: int) -> None:
    """Send one report in an association of its own, as scanners do; retry while the service starts."""
    instance = dcmread(report)
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while True:
        ae = AE(ae_title=SCANNER)
        ae.add_requested_context(instance.SOPClassUID, instance.file_meta.TransferSyntaxUID)
        association = ae.associate(LOOPBACK, port, ae_title=SERVICE)
        if association.is_established:
            status = association.send_c_store(instance)
            association.release()
            if status.get("Status") == SUCCESS:
                return
        if time.monotonic() > deadline:
            raise TimeoutError(f"the service did not accept {report.name}")
        time.sleep(0.5)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the archive has got for one exam: the current addendum, in words, and where it is not as expected."""

    tree: Item | None
    result: str
    differences: list[str]


def _answer(exam: Expected, addenda: Sequence[Dataset]) -> _Answer:
    found = current([addendum for addendum in addenda if addendum.StudyInstanceUID == exam.study])
    if len(found) != 1:
        return _Answer(tree=None, result="", differences=[f"{len(found)} addenda instead of one"])
    tree = read_tree(read_elements(encode(found[0], False, True) or b"", ExplicitVRLittleEndian))
    addendum = read_back(tree)
    return _Answer(tree=tree, result=_in_words(addendum), differences=exam.differences(addendum))


def _in_words(addendum: ReadBack) -> str:
    """Return the overall result since the prior, where it differs since the baseline, and what it comes from."""
    overall = _RESULTS.get(addendum.overall, addendum.overall.lower())
    results = {region: " ".join(values.get("RESULT", ())) for region, values in addendum.regions.items()}
    changed = [f"{region} {result.lower()}" for region, result in results.items() if result in ("GAIN", "LOSS")]
    if addendum.overall != "INDETERMINATE":
        since_prior = f"{overall}: {', '.join(changed)}" if changed else overall
        (since_baseline,) = addendum.whole.get("BOVERALL", ("",))
        if since_baseline in ("", addendum.overall):
            return since_prior
        return f"{since_prior}; since the baseline {_RESULTS.get(since_baseline, since_baseline.lower())}"
    obstacles = [code for values in addendum.regions.values() for code in values.get("OBSTACLE", ())]
    why = dict.fromkeys(obstacles or [result for result in results.values() if result == "NO_LSC"])
    words = ", ".join(code.lower().replace("_", " ").replace("lsc", "LSC") for code in why)
    return f"{overall}: {words}" if words else overall


def _table(answers: Sequence[tuple[Expected, _Answer]]) -> Table:
    """Return a table with a row per exam: patient, date, result, and whether that is as it should be."""
    table = Table("patient", "sample", "date", "result", "as it should be", box=None, pad_edge=False)
    for exam, answer in answers:
        as_expected = Text("\n".join(answer.differences), "bold red") if answer.differences else Text("yes", "green")
        table.add_row(exam.patient_id, exam.folder.name, exam.date, answer.result, as_expected)
    return table


def _print_outline(console: Console, exam: Expected, answer: _Answer) -> None:
    console.rule(f"{exam.folder.name}, {exam.date}")
    if answer.tree is not None:
        console.print(outline(answer.tree), markup=False, highlight=False, soft_wrap=True)


def _differences(expected: Mapping[str, Any], addendum: ReadBack) -> Iterator[str]:
    if addendum.overall != expected["OVERALL"]:
        yield f"OVERALL is {addendum.overall}, not {expected['OVERALL']}"
    if not set(expected["FLAG"]) <= set(addendum.flags):
        yield f"FLAG is {addendum.flags}, not {expected['FLAG']}"
    if addendum.regions.keys() != expected["regions"].keys():
        yield f"regions are {sorted(addendum.regions)}, not {sorted(expected['regions'])}"
        return
    for key, concepts in expected["regions"].items():
        for name, value in concepts.items():
            wanted = {part.replace("-", "") if name.endswith("_DATE") else part for part in _as_list(value)}
            found = set(addendum.regions[key].get(name, ()))
            if not wanted <= found or (name not in ("FLAG", "OBSTACLE") and wanted != found):
                yield f"{key}: {name} is {sorted(found)}, not {sorted(wanted)}"


def _as_list(value: str | list[str]) -> list[str]:
    return value if isinstance(value, list) else [value]
