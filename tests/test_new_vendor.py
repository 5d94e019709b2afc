"""A file teaches dxatrend an unknown scanner: docs/dialects.md is executed as it stands."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pipeline.clinical.regions import Site
from pipeline.edge.app import App, open_app
from pipeline.edge.extract.extraction import extract_waiting
from pipeline.edge.follow_up.due_exams import claim_due, follow_up
from pipeline.edge.store import outbox, receipts
from pipeline.edge.store.exam_counts import ExamCounts
from pipeline.sr.author.readback import read_back
from pipeline.sr.dialects.loader import load_dialects
from pipeline.sr.dialects.model import DateOrder, Fact, Quantity, Since
from pipeline.sr.dicom.content_tree import read_tree
from pipeline.sr.dicom.outline import outline
from pipeline.sr.dicom.reader import read_elements
from pipeline.sr.extract.report import Report, extract
from tests.factories.elements import elements_of
from tests.factories.instances import instance
from tests.factories.reports import container, encode, num, report, text
from tests.folders import ROOT, VENDORS

PAGE = (ROOT / "docs" / "dialects.md").read_text(encoding="utf-8")
LONG_AGO = datetime.now(UTC) - timedelta(days=1)
ACME = {"Manufacturer": "ACME", "ManufacturerModelName": "One", "DeviceSerialNumber": "A-17"}
LINE = re.compile(r"(?P<depth> *)(?P<type>[A-Z]+) +(?P<name>[^=]+?)(?: = (?P<value>\S+)(?: (?P<unit>\S+))?)?")


def example(title: str) -> str:
    """What follows a title on the page: the inside of a block, or a table."""
    found: tuple[str, str]
    (found,) = re.findall(rf"<!-- example: {title} -->\n(?:```\w+\n(.*?)```|((?:\|[^\n]*\n)+))", PAGE, re.DOTALL)
    return found[0] or found[1]


def built(printed: str) -> tuple[str, list[Dataset]]:
    """The root's name and the content of a report that reads as an outline does."""
    root = Dataset()
    path = [root]
    for line in printed.splitlines():
        match = LINE.fullmatch(line)
        assert match is not None, line
        depth = len(match["depth"]) // 2
        del path[depth + 1 :]
        item = _item(match)
        path[depth].ContentSequence = [*path[depth].get("ContentSequence", []), item]
        path.append(item)
    (top,) = root.ContentSequence
    return top.ConceptNameCodeSequence[0].CodeMeaning, list(top.ContentSequence)


def _item(match: re.Match[str]) -> Dataset:
    if match["type"] == "CONTAINER":
        return container(match["name"])
    if match["type"] == "TEXT":
        return text(match["name"], match["value"])
    return num(match["name"], match["value"], (match["unit"], "UCUM", match["unit"]))


def sent(*, spine: str = "0.912", **header: str) -> Dataset:
    """The report of the page, with another BMD of the spine."""
    printed = example("the report").replace("Density = 0.912", f"Density = {spine}")
    if spine != "0.912":
        printed = re.sub(r"\n +NUM  (?:Content|Surface) .*", "", printed)
    root, content = built(printed)
    return report(*content, root=root, **(ACME | header))


def densities(read: Report) -> dict[str, str]:
    return {measurement.region.key: str(measurement.bmd) for measurement in read.exam.measurements}


def expected_densities(title: str) -> dict[str, str]:
    return dict(re.findall(r"^\| `(.+?)` \| (\S+) \|$", example(title), re.MULTILINE))


def test_the_report_of_the_page_reads_as_the_page_shows_it() -> None:
    assert outline(read_tree(elements_of(sent()))) == example("the report").strip()


@pytest.mark.parametrize(
    ("more", "result"), [("", "the result"), ("more rules", "the result with them")], ids=["first", "completed"]
)
def test_the_dialect_of_the_page_reads_the_report_of_the_page(more: str, result: str) -> None:
    dialect = example("the dialect")
    rules = f"{example(more)}\n" if more else ""
    dialects = load_dialects({"acme.toml": dialect.replace("[[scan]]", f"{rules}[[scan]]", 1)})
    read = extract(elements_of(sent()), dialects)
    assert densities(read) == expected_densities(result)
    spine = read.exam.by_region["L1-L4"]
    assert (str(spine.t_score), str(spine.bmc), spine.scan_mode, spine.technologist) == ("-1.3", "47.97", "quick", "KL")
    assert any("Collum" in remark for remark in read.remarks) is (not more)


@pytest.mark.parametrize("word", [*Quantity, *Fact, *Since, *DateOrder], ids=str)
def test_every_word_a_dialect_may_use_is_on_the_page(word: str) -> None:
    assert f'`"{word}"`' in PAGE or f"`{word}`" in PAGE


def test_every_key_of_the_dialects_that_come_with_us_is_on_the_page() -> None:
    for file in VENDORS.glob("*.toml"):
        tables = re.findall(r"^\[+([^\]\n]+)\]+", file.read_text(encoding="utf-8"), re.MULTILINE)
        assert {table for table in tables if f"[{table}]" not in PAGE} == set(), file.name
    assert {site for site in Site if f'"{site}"' not in PAGE and f"names.{site}" not in PAGE} == set()


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A department with the dialects that come with us, and one of its own."""
    dialects = tmp_path / "dialects"
    dialects.mkdir()
    (dialects / "acme.toml").write_text(example("the dialect"), encoding="utf-8")
    (tmp_path / "service.toml").write_text(f"""
        [store]
        url = "sqlite:///{tmp_path}/store.sqlite3"
        [[destination]]
        name = "pacs"
        ae_title = "PACS"
        host = "127.0.0.1"
        port = 104
        """)
    (tmp_path / "precision.toml").write_text("""
        [[lsc]]
        manufacturer = "ACME"
        model = "One"
        serial_number = "A-17"
        region = "L1-L4"
        same_day = false
        lsc = "0.030"
        patients = 30
        repeats = 2
        valid_from = 2020-01-01
        valid_until = 2030-01-01
        source = "our own study"
        """)
    with open_app(tmp_path) as app:
        yield app


def test_two_reports_of_a_new_vendor_become_a_change_without_a_line_of_code(app: App) -> None:
    then = sent(spine="0.950", StudyInstanceUID="2.25.10", StudyDate="20220301", SOPInstanceUID="2.25.1")
    now = sent(StudyInstanceUID="2.25.11", StudyDate="20240301", SOPInstanceUID="2.25.2")
    for one in (then, now):
        with app.database.write() as connection:
            kept = instance(encode(one), uid=str(one.SOPInstanceUID))
            receipts.store(connection, kept, calling_ae_title="ACME", at=LONG_AGO)
    while extract_waiting(app):
        pass
    assert follow_up(app, claim_due(app.database, 50)) == ExamCounts(issued=2)
    with app.database.read() as connection:
        addendum = outbox.latest(connection, 2)
    assert addendum is not None
    said = read_back(read_tree(read_elements(addendum.data_set, ExplicitVRLittleEndian)))
    assert said.regions["L1-L4"]["RESULT"] == ("LOSS",)
    assert said.regions["L1-L4"]["DIFF"] == ("-0.038",)
