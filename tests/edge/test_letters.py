"""Text in any script goes through every column, command, message and page, on either kind of database."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from defusedxml.ElementTree import fromstring
from pydicom.charset import encode_string, python_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from sqlalchemy import select, update

from pipeline.edge.app import App, open_app
from pipeline.edge.audit.dicom_message import Source, has_message, message
from pipeline.edge.audit.forwarder import _subject
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import audit_trail, exams, outbox, receipts
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.edge.store.schema import exam, receipt
from pipeline.edge.store.schema_base import State
from pipeline.sr.dicom.character_sets import decoded
from pipeline.sr.dicom.content_tree import header_text, read_instance
from tests.factories.answered_exams import LONG_AGO
from tests.factories.elements import elements_of
from tests.factories.instances import instance
from tests.factories.reports import each_item, encode, region, report, spine, text
from tests.folders import ROOT

SCRIPTS = {
    "ISO_IR 100": "Universitätsklinik Ñuñoa",
    "ISO_IR 101": "Łódź Kraków",
    "ISO_IR 109": "Ĝeneva ĉambro",
    "ISO_IR 110": "Šiauliai Ģertrūde",
    "ISO_IR 144": "Люкceмбypг",
    "ISO_IR 127": "قباني",
    "ISO_IR 126": "Διονυσιος",
    "ISO_IR 138": "שרון",
    "ISO_IR 148": "İstanbul Çağrı",
    "ISO_IR 13": "ﾔﾏﾀﾞ",
    "ISO_IR 166": "โรงพยาบาล",
    "\\ISO 2022 IR 87": "山田 病院",
    "\\ISO 2022 IR 159": "丂丄",
    "\\ISO 2022 IR 149": "김희중",
    "\\ISO 2022 IR 58": "张小东",
    "ISO_IR 192": "Zoë 王 𠮷野 🦴 é",
    "GB18030": "王小东 𠀀",
    "GBK": "王小東",
}
"""A text for each of DICOM's character sets (PS3.3 C.12.1.1.2); some lie outside the basic plane, or are combined."""

FIELDS = (
    *("PatientID", "IssuerOfPatientID", "PatientName", "AccessionNumber", "StudyID", "StudyDescription"),
    *("InstitutionName", "StationName", "OperatorsName", "ReferringPhysicianName", "EthnicGroup", "SoftwareVersions"),
    *("ManufacturerModelName", "DeviceSerialNumber", "SeriesDescription", "PhysiciansOfRecord"),
)
"""Every text of the header that is kept or quoted; Manufacturer stays, as it says whose report this is."""

NOT_REPORTED = {"\\ISO 2022 IR 58": b"\x1b$)A"}
"""The escape sequences (PS3.3 C.12.1.1.2) that pydicom reads and does not write."""

FORMS = ["sr", "image", "pdf"]

FACTS = ("Scan Mode", "Reference Population", "Analysis Method", "Any Other Name")


def put_text(ds: Dataset, keyword: str, told: str, charset: str) -> None:
    """Set an element to the bytes of a text in a character set."""
    raw = NOT_REPORTED.get(charset, b"") + encode_string(told, [python_encoding[name] for name in charset.split("\\")])
    ds[Tag(keyword)] = RawDataElement(Tag(keyword), dictionary_VR(keyword), len(raw), raw, 0, False, True)


def in_script(charset: str, *, date: str, bmd: str) -> Dataset:
    """A report with letters of one character set in every text field."""
    told = SCRIPTS[charset]
    facts = [text(name, "") for name in FACTS]
    content = spine(*facts, region("L1-L4", bmd, text("Comment", "")))
    made = report(content, StudyDate=date, StudyInstanceUID=f"2.25.{date}")
    made.SpecificCharacterSet = charset

    def tell(item: Dataset) -> None:
        if item.get("ValueType") == "TEXT":
            put_text(item, "TextValue", told, charset)

    each_item(made, tell)
    for keyword in FIELDS:
        put_text(made, keyword, told, charset)
    made.SOPInstanceUID = f"2.25.1{date}"
    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def app(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[App]:
    """An app with one destination, which wants every form where a test is about forms, and a store of either kind."""
    sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/store.sqlite3" if sqlite else request.getfixturevalue("postgresql_url")
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "{url}"
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        content = {json.dumps(FORMS if "form" in request.node.name else ["sr"])}
        """)
    with open_app(tmp_path) as app:
        yield app


def receive(app: App, sent: Dataset) -> None:
    """Receive, read and follow up one report."""
    with app.database.write() as connection:
        kept = instance(encode(sent), uid=sent.SOPInstanceUID)
        receipts.store(connection, kept, calling_ae_title="SCANNER1", at=LONG_AGO)
    while extract_waiting(app):
        pass
    assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(issued=1)


@pytest.mark.parametrize("charset", SCRIPTS)
def test_an_exam_with_letters_in_every_text_field_is_compared_and_answered(app: App, charset: str) -> None:
    receive(app, in_script(charset, date="20220301", bmd="0.900"))
    receive(app, in_script(charset, date="20240301", bmd="0.912"))
    told = SCRIPTS[charset]
    with app.database.read() as connection:
        assert connection.scalars(select(receipt.c.reason)).all() == [None, None]
        numbers = list(connection.scalars(select(exam.c.id).order_by(exam.c.id)))
        first, second = exams.load(connection, numbers)
        whole = second.exam()
        assert (whole.patient.patient_id, whole.institution, whole.accession_number) == (told, told, told)
        assert first.patient == second.patient
        assert [one.number for one in exams.history(connection, second.patient, but=second.number)] == [first.number]
        (addendum,) = outbox.addenda(connection, second.number)
        written = read_instance(addendum.data_set, "1.2.840.10008.1.2.1")
        assert header_text(elements_of(written), "PatientID") == told
        assert header_text(elements_of(written), "PatientName").rstrip("=") == told
        found = (one.entry for one in audit_trail.find(connection))
        sent = [(entry, _subject(connection, entry)) for entry in found if has_message(entry.event)]
    assert sent
    for entry, subject in sent:
        fromstring(message(entry, subject, Source(ae_title="DXATREND", host="room-2")))


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 13", "ISO_IR 127", "ISO_IR 192"])
def test_every_form_is_drawn_in_any_letters(app: App, charset: str) -> None:
    receive(app, in_script(charset, date="20240301", bmd="0.912"))
    with app.database.read() as connection:
        (addendum,) = outbox.addenda(connection, 1)
        assert len(outbox.renderings(connection, addendum.number)) >= 2


TERMINALS = {
    "C": {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    "ASCII": {"PYTHONIOENCODING": "ascii"},
}


@pytest.mark.parametrize("app", ["sqlite"], indirect=True)
@pytest.mark.parametrize("terminal", TERMINALS)
def test_every_command_prints_any_letters_on_any_terminal(app: App, tmp_path: Path, terminal: str) -> None:
    told = SCRIPTS["ISO_IR 192"]
    receive(app, in_script("ISO_IR 192", date="20220301", bmd="0.900"))
    sheet = tmp_path / "context.csv"
    sheet.write_text(f"patient_id,issuer,recorded_on,source\n{told},{told},2024-01-01,Praxis Müller 王 🦴\n", "utf-8")
    with app.database.write() as connection:
        connection.execute(update(exam).values(state=State.HELD, reason="id_conflict", detail=told))
    commands: list[tuple[str, ...]] = [
        ("context", "load", str(sheet)),
        ("context", "show", told, "--issuer", told),
        ("held",),
        ("audit", "--json", "--patient", told, "--issuer", told),
        ("show", "1"),
        ("withdraw", "E1", "--reason", told),
    ]
    for command in commands:
        ended = subprocess.run(
            [sys.executable, "-m", "dxatrend", "--config", str(tmp_path), *command],
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, **TERMINALS[terminal]},
            check=False,
        )
        assert (ended.returncode, b"Traceback" in ended.stderr) == (0, False), (command, ended.stderr)


@pytest.mark.parametrize("app", ["sqlite"], indirect=True)
@pytest.mark.parametrize("no_text", [b"P\xff1", b"P\xed\xa0\x801"])
def test_an_argument_that_is_no_text_is_refused_in_words(app: App, tmp_path: Path, no_text: bytes) -> None:
    receive(app, report(spine(), SOPInstanceUID="2.25.1"))
    for command in (("context", "show"), ("withdraw", "E1", "--reason")):
        ended = subprocess.run(
            [*map(os.fsencode, (sys.executable, "-m", "dxatrend", "--config", tmp_path, *command)), no_text],
            capture_output=True,
            cwd=ROOT,
            check=False,
        )
        assert ended.returncode == 2
        assert b"is not text" in ended.stderr


def test_a_name_in_chinese_by_escape_sequences_is_read_without_them() -> None:
    """ISO-IR 58 (PS3.5 annex K): its codec takes the escape sequences for text."""
    encodings = [python_encoding[name] for name in ("", "ISO 2022 IR 58")]
    told = b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="
    assert decoded(told, encodings) == "Zhang^XiaoDong=张^小东="
