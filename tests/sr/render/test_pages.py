"""The pages show what the addendum says, all of it legible, whatever the name, history and findings are."""

import hashlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from random import Random

import pytest
from PIL import Image
from pydicom import dcmread
from pydicom.uid import EncapsulatedPDFStorage, SecondaryCaptureImageStorage

from pipeline.clinical.model import Exam, Interpretation, Obstacle, Overall, Result
from pipeline.clinical.wording.names import lsc_in_text, score_in_text
from pipeline.sr.author.addendum import author
from pipeline.sr.author.readback import read_back
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.writer import Authored, dicom_file
from pipeline.sr.extract.report import extract
from pipeline.sr.render import drawing, page_layout, page_marks
from pipeline.sr.render.fonts import NAMELESS, UNKNOWN, Fonts, UnusableFontError
from pipeline.sr.render.instances import author_renderings
from pipeline.sr.render.page_content import PageContent
from pipeline.sr.render.rasterising import COLUMNS, ROWS, images
from tests import peers
from tests.factories import addenda, patients, renderings
from tests.factories import interpretations as make
from tests.factories.addenda import tree
from tests.factories.elements import elements_of
from tests.factories.patients import NAMES
from tests.factories.renderings import addendum_to, fifteen_years, interpreted, read, renderings_of, shown, visit
from tests.folders import ROOT
from tests.peers import program
from tests.sr.author import validators


def of_patient(number: int) -> tuple[patients.AddendumCase, Authored, PageContent]:
    case = patients.case(Random(number))
    addendum = author(
        case.interpretation,
        sources=[*map(elements_of, case.sources)],
        priors=[*map(elements_of, case.priors)],
    )
    return case, addendum, shown(addendum, case.interpretation, case.history)


def usual() -> tuple[Authored, Interpretation, list[Exam]]:
    """Three regions after fifteen years."""
    history = fifteen_years()
    interpretation = interpreted(visit(2024, "L1-L4", "total hip left", "femoral neck left"), history)
    return addendum_to(interpretation), interpretation, history


# What stands on the pages


@pytest.mark.parametrize("number", range(40))
def test_the_table_carries_the_numbers_of_the_addendum(number: int) -> None:
    case, addendum, content = of_patient(number)
    regions = read_back(tree(addendum)).regions
    rows = iter(content.rows)
    for finding in case.interpretation.findings:
        if not finding.measurement.region.monitorable:
            continue
        row, values = next(rows), regions[finding.measurement.region.key]
        assert ((row.bmd,), row.t_score, row.z_score) == (
            values["BMD"],
            *(first(values, k) and score_in_text(Decimal(first(values, k))) for k in ("T_SCORE", "Z_SCORE")),
        )
        if finding.since_prior and finding.since_baseline:
            lsc = first(values, "LSC")
            assert (row.bmd_then, row.lsc) == (first(values, "PRIOR_BMD"), lsc_in_text(Decimal(lsc)) if lsc else "none")
            assert row.reference.replace("-", "") == first(values, "PRIOR_DATE")
            if not finding.plausible:
                assert (row.change, row.verdict) == ("", "change not plausible")
            elif values["RESULT"] == ("GAIN",) or values["RESULT"] == ("LOSS",):
                assert row.change == f"{Decimal(first(values, 'DIFF')):+} ({Decimal(first(values, 'PDIFF')):+} %)"
            if first(values, "BASELINE_STUDY") != first(values, "PRIOR_STUDY"):
                row = next(rows)
                assert row.bmd_then == first(values, "BASELINE_BMD")
                assert row.reference.replace("-", "") == first(values, "BASELINE_DATE")
    assert list(rows) == []


def first(values: Mapping[str, tuple[str, ...]], name: str) -> str:
    return next(iter(values.get(name, ())), "")


def test_the_change_of_what_did_not_change_significantly_is_in_words_only() -> None:
    """ISCD (N6)."""
    stable = make.change(Result.NO_SIGNIFICANT_CHANGE, earlier="0.953", difference="-0.023", percent="-2.4")
    interpretation = make.interpretation(make.finding(since_prior=stable), overall=Overall.STABLE)
    content = shown(addendum_to(interpretation), interpretation)
    assert [(row.change, row.verdict) for row in content.rows] == [("less than LSC", "no significant change")]
    assert "0.023" not in str(content)


def test_a_region_that_was_not_compared_says_why() -> None:
    history = [visit(2019, scanner=make.HORIZON)]
    interpretation = interpreted(visit(2024), history)
    content = shown(addendum_to(interpretation), interpretation, history)
    (row,) = content.rows
    assert row.verdict == "not comparable"
    (number,) = row.notes
    assert "serial number 200123M" in content.notes[number - 1]
    assert "serial number DF+500475" in content.notes[number - 1]


@pytest.mark.parametrize("number", range(40))
def test_the_pages_say_what_the_addendum_says_in_its_order_and_no_table_in_words(number: int) -> None:
    """E17: impression first; the rows stand for the sentences on each region, the notes for what concerns a row."""
    case, _, content = of_patient(number)
    narrative = case.interpretation.narrative
    assert content.impression == narrative.impression
    titles = {"Comparison": narrative.basis, "Cautions": narrative.cautions, "Suggestions": narrative.suggestions}
    shown_texts = dict(content.sections)
    assert list(shown_texts) == [title for title in titles if title in shown_texts]
    for title, texts in titles.items():
        for text in texts:
            noted = [note for note in content.notes if note.removesuffix(".").rpartition(": ")[2] in text]
            assert text in shown_texts.get(title, ()) or noted
    written = [
        *content.impression,
        *content.notes,
        *content.small_print,
        *(t for texts in shown_texts.values() for t in texts),
    ]
    assert not set(narrative.findings) & set(written)
    assert len(written) == len(set(written))


def test_the_numbers_of_the_rules_are_in_the_small_print_alone() -> None:
    """E17"""
    addendum, interpretation, history = usual()
    content = shown(addendum, interpretation, history)
    rules = re.compile(r"\b(?:R\d+\.\d+|C12)\b")
    assert rules.search(" ".join(content.small_print))
    assert not rules.search(" ".join([*content.impression, *content.notes, *map(str, content.sections)]))


def test_a_superseding_addendum_says_on_its_pages_what_changed() -> None:
    addendum, _, _ = usual()
    again = interpreted(visit(2024, "L1-L4", "total hip left", "femoral neck left"))
    content = shown(addendum_to(again, predecessor=addendum), again)
    assert content.replaced.startswith("Replaces an earlier addendum. Changed: overall: no prior (was: ")


# The plots


def test_scans_of_other_scanners_are_drawn_apart_and_not_joined() -> None:
    addendum, interpretation, history = usual()
    plots = shown(addendum, interpretation, history).plots
    assert [plot.region for plot in plots] == ["Spine L1-L4", "Left total hip", "Left femoral neck"]
    for plot in plots:
        assert [point.on.year for point in plot.series] == [2013, *range(2015, 2025)]
        assert [(group.reason, [point.on.year for point in group.points]) for group in plot.not_comparable] == [
            ("S/N N77, Norland XR-46", [2014]),
            ("S/N 200123M, Hologic Horizon A", [2009, 2010, 2011, 2012]),
        ]


def test_the_band_is_the_lsc_about_the_prior() -> None:
    addendum, interpretation, history = usual()
    (plot, *_) = shown(addendum, interpretation, history).plots
    assert plot.band is not None
    assert (plot.band.bmd, plot.band.lsc) == (plot.series[-2].bmd, Decimal("0.028"))


def test_without_an_lsc_there_is_no_band() -> None:
    history = [visit(2019, "33% radius left")]
    interpretation = interpreted(visit(2024, "33% radius left"), history)
    (plot,) = shown(addendum_to(interpretation), interpretation, history).plots
    assert plot.band is None


def test_the_first_exam_has_no_plot() -> None:
    interpretation = interpreted(visit(2024))
    assert shown(addendum_to(interpretation), interpretation).plots == ()


def test_what_may_be_somebody_elses_is_not_drawn() -> None:
    """R2.19."""
    refused = make.finding(refusals=(make.refusal(Obstacle.ID_CONFLICT),))
    interpretation = make.interpretation(refused, overall=Overall.INDETERMINATE)
    assert shown(addendum_to(interpretation), interpretation, [make.exam(2022)]).plots == ()


def test_later_exams_are_not_drawn() -> None:
    interpretation = interpreted(visit(2024), [visit(2022)])
    (plot,) = shown(addendum_to(interpretation), interpretation, [visit(2022), visit(2025)]).plots
    assert [point.on.year for point in plot.series] == [2022, 2024]
    assert plot.not_comparable == ()


@pytest.mark.parametrize("number", range(40))
def test_only_what_the_findings_compare_is_joined(number: int) -> None:
    """A refused exam is never on the line; the prior and the baseline always are."""
    case, _, content = of_patient(number)
    for finding in case.interpretation.findings:
        for plot in content.plots:
            if finding.measurement.region.key in plot.region.casefold() and finding.since_prior:
                joined = {point.on for point in plot.series}
                assert finding.since_prior.reference.performed_on in joined
                assert not {r.exam.performed_on for r in finding.refusals} & (
                    joined - {case.interpretation.exam.performed_on}
                )


# Where it stands


def crowded() -> PageContent:
    """Everything at once: a long name, all regions, fifteen years, three machines, a superseding line."""
    history = fifteen_years()
    before = interpreted(visit(2024, *renderings.REGIONS))
    interpretation = interpreted(visit(2024, *renderings.REGIONS), history)
    addendum = addendum_to(interpretation, name=renderings.LONG_NAME, predecessor=addendum_to(before))
    return shown(addendum, interpretation, history)


def contents() -> Iterator[tuple[str, PageContent]]:
    yield "crowded", crowded()
    for name, interpretation in make.spread().items():
        yield name, shown(addendum_to(interpretation), interpretation)
    for number in range(30):
        yield f"patient {number}", of_patient(number)[2]


def test_no_text_leaves_the_margins_or_stands_on_another() -> None:
    drawn_in = Fonts()
    for name, content in contents():
        pages = page_layout.lay_out(content, drawn_in.patient_name(content.patient_name), drawn_in.width)
        for page in pages:
            texts = [mark for mark in page if isinstance(mark, page_marks.Text)]
            spans = [(text, *span(text, drawn_in)) for text in texts]
            for text, begins, ends in spans:
                assert begins >= page_marks.LEFT - 0.5, (name, text)
                assert ends <= page_marks.RIGHT + 0.5, (name, text)
                assert text.y <= page_marks.HEIGHT - 20, (name, text)
                assert text.size >= page_marks.SMALLEST, (name, text)
            for one, begins, ends in spans:
                too_near = [t for t, b, _ in spans if t is not one and abs(t.y - one.y) < 3 and begins <= b < ends + 2]
                assert too_near == [], (name, one)
            for chart in (mark for mark in page if isinstance(mark, page_marks.Chart)):
                assert chart.y + chart.height <= page_marks.BOTTOM, name


def span(text: page_marks.Text, drawn_in: Fonts) -> tuple[float, float]:
    wide = drawn_in.width(text.text, text.size, text.bold)
    return (text.x - wide, text.x) if text.end else (text.x, text.x + wide)


def test_every_page_has_name_patient_id_and_page_number() -> None:
    content = crowded()
    pages = page_layout.lay_out(content, "the name", Fonts().width)
    assert len(pages) > 1
    for number, page in enumerate(pages, 1):
        texts = [mark.text for mark in page if isinstance(mark, page_marks.Text)]
        assert "the name" in texts
        assert any("DXA-0001" in text for text in texts)
        assert f"page {number} of {len(pages)}" in texts


# Fonts

DROID = "/usr/share/fonts/truetype/droid/DroidSansFallbackFull.ttf"
"""A font with Chinese letters and without Latin ones."""

STIX = "/usr/share/fonts/opentype/stix-word/STIX-Regular.otf"
"""A font with Latin letters, and with cubic outlines."""

ONLY_IN_STIX = "\N{LATIN SMALL LETTER K WITH PALATAL HOOK}"
"""A letter that our own fonts lack."""


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        (NAMES["Latin"], "Müller Jürgen"),
        (NAMES["Cyrillic"], "Люксембург Анна"),
        (NAMES["Greek"], "Διονυσίου Ελένη"),
        (NAMES["Arabic"], "قباني لنزار"),
        (NAMES["Chinese"], "Wang XiaoDong"),
        (NAMES["Japanese"], "Yamada Tarou"),
        (NAMES["Korean"], "Hong Gildong"),
        ("王^小东", NAMELESS),
        ("", "(no name stated)"),
        ("^^=", "(no name stated)"),
        ("Smith^Ann^M.", "Smith Ann M."),
    ],
)
def test_a_name_is_drawn_in_the_spelling_that_can_be(name: str, drawn: str) -> None:
    assert Fonts().patient_name(name) == drawn


def test_a_letter_that_no_font_has_is_marked() -> None:
    assert Fonts().legible("LSC 0.028 (王)") == f"LSC 0.028 ({UNKNOWN})"


def test_the_departments_own_font_draws_what_ours_cannot() -> None:
    fonts = Fonts(peers.font(DROID))
    assert fonts.patient_name(NAMES["Chinese"]) == "Wang XiaoDong  王 小东"
    ours, own = fonts.line("Wang 王", bold=True)
    assert [Path(part.typeface.path).name for part in (ours, own)] == ["DejaVuSans-Bold.ttf", Path(DROID).name]
    assert ["".join(glyph.letters for glyph in part.glyphs) for part in (ours, own)] == ["Wang ", "王"]
    assert len(fonts.line("Wang", bold=False)) == 1


def test_a_text_that_the_departments_own_font_has_whole_is_drawn_in_it_alone() -> None:
    fonts = Fonts(peers.font(STIX))
    for text, name in ((f"Doe {ONLY_IN_STIX}", Path(STIX).name), ("Doe", "DejaVuSans-Bold.ttf")):
        (part,) = fonts.line(text, bold=True)
        assert Path(part.typeface.path).name == name


def test_a_letter_that_only_the_regular_font_has_is_drawn_in_it_among_bold_ones() -> None:
    parts = Fonts().line("Doe \N{MATHEMATICAL SANS-SERIF CAPITAL A}", bold=True)
    assert [Path(part.typeface.path).name for part in parts] == ["DejaVuSans-Bold.ttf", "DejaVuSans.ttf"]


def test_a_joined_letter_stands_for_all_its_letters() -> None:
    (part,) = Fonts().line("office", bold=False)
    assert [glyph.letters for glyph in part.glyphs] == ["o", "ffi", "c", "e"]


def test_a_file_that_is_no_font_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.ttf").write_bytes(b"nothing")
    for path in ("none.ttf", "missing.ttf"):
        with pytest.raises(UnusableFontError):
            Fonts(str(tmp_path / path))


# As DICOM


def written(rendering: Authored, folder: Path) -> Path:
    path = folder / f"{rendering.sop_instance_uid}.dcm"
    path.write_bytes(dicom_file(rendering))
    return path


def pdf_text(rendering: Authored, folder: Path) -> str:
    document = folder / "rendering.pdf"
    document.write_bytes(read(rendering).EncapsulatedDocument)
    printed = subprocess.run([program("pdftotext"), "-layout", str(document), "-"], capture_output=True, check=True)
    return printed.stdout.decode()


@pytest.fixture(scope="module")
def drawn() -> tuple[Authored, tuple[Authored, ...]]:
    """The usual addendum and its renderings."""
    addendum, interpretation, history = usual()
    return addendum, renderings_of(addendum, interpretation, history)


def test_an_addendum_has_an_image_for_each_page_and_one_pdf(drawn: tuple[Authored, tuple[Authored, ...]]) -> None:
    addendum, made = drawn
    *images, document = made
    assert {rendering.sop_class_uid for rendering in images} == {SecondaryCaptureImageStorage}
    assert document.sop_class_uid == EncapsulatedPDFStorage
    assert [read(rendering).InstanceNumber for rendering in images] == list(range(1, len(images) + 1))
    series = {rendering.sop_class_uid: str(read(rendering).SeriesInstanceUID) for rendering in made}
    assert len({*series.values(), str(addenda.read(addendum).SeriesInstanceUID)}) == 3
    assert len({rendering.sop_instance_uid for rendering in made}) == len(made)


def test_a_rendering_has_the_header_of_its_addendum_and_names_it(drawn: tuple[Authored, tuple[Authored, ...]]) -> None:
    addendum = addenda.read(drawn[0])
    for rendering in map(read, drawn[1]):
        for keyword in (
            *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate"),
            *("AccessionNumber", "StudyID", "ReferringPhysicianName", "ContentDate", "ContentTime", "Manufacturer"),
        ):
            assert rendering[keyword] == addendum[keyword]
        (source,) = rendering.SourceInstanceSequence
        assert source.ReferencedSOPInstanceUID == addendum.SOPInstanceUID
        assert source.PurposeOfReferenceCodeSequence[0].CodeValue == "128225"
        assert (rendering.BurnedInAnnotation, rendering.ConversionType) == ("YES", "WSD")
        assert rendering.SeriesNumber > addendum.SeriesNumber


@pytest.mark.parametrize("name", make.spread())
def test_no_validator_finds_a_fault_in_a_rendering(name: str, tmp_path: Path) -> None:
    interpretation = make.spread()[name]
    for rendering in renderings_of(addendum_to(interpretation), interpretation, [make.exam(2022), make.exam(2019)]):
        file = written(rendering, tmp_path)
        assert validators.unexpected(validators.dciodvfy(file)) == []
        assert validators.tables(file) == []


@pytest.mark.parametrize(
    ("keyword", "of"), [("ConversionType", 0), ("Rows", 0), ("BurnedInAnnotation", -1), ("EncapsulatedDocument", -1)]
)
def test_the_validators_would_find_a_fault_in_a_rendering(
    keyword: str, of: int, drawn: tuple[Authored, tuple[Authored, ...]], tmp_path: Path
) -> None:
    file = written(drawn[1][of], tmp_path)
    spoiled = dcmread(file)
    del spoiled[keyword]
    spoiled.save_as(file)
    assert validators.unexpected(validators.dciodvfy(file)) != []
    assert validators.tables(file) != []


def test_the_pixels_are_grey_on_white_and_none_is_cut_off(drawn: tuple[Authored, tuple[Authored, ...]]) -> None:
    for rendering in map(read, drawn[1][:-1]):
        assert (rendering.Rows, rendering.Columns, rendering.PhotometricInterpretation) == (
            ROWS,
            COLUMNS,
            "MONOCHROME2",
        )
        picture = Image.frombytes("L", (COLUMNS, ROWS), bytes(rendering.PixelData)[: ROWS * COLUMNS])
        left, upper, right, lower = picture.point(lambda value: 255 - value).getbbox() or (0, 0, 0, 0)
        assert 20 < left < right < COLUMNS - 20
        assert 20 < upper < lower < ROWS - 20
        assert min(picture.tobytes()) < 40, "ink is dark"


def test_every_rule_of_a_page_is_drawn_wherever_it_falls_between_pixels() -> None:
    step = page_marks.HEIGHT / ROWS / 7
    rules = [page_marks.Box(x=100, y=20 + number * (10 + step), width=300) for number in range(70)]
    (pixels,) = images(drawing.pdf([tuple(rules)], Fonts(), title=""))
    column = pixels[400::COLUMNS]
    for rule in rules:
        row = round(rule.y / page_marks.HEIGHT * ROWS)
        drawn = [shade for shade in column[row - 2 : row + 4] if shade != 255]
        assert len(drawn) == 1, rule
        assert drawn[0] <= 190, rule


@pytest.mark.parametrize("script", ["Latin", "Cyrillic", "Greek", "Arabic"])
def test_the_text_of_the_pdf_can_be_selected_in_any_script_our_fonts_have(script: str, tmp_path: Path) -> None:
    interpretation = interpreted(visit(2024), [visit(2022)])
    (rendering,) = renderings_of(addendum_to(interpretation, name=NAMES[script]), interpretation, [visit(2022)], "pdf")
    text = pdf_text(rendering, tmp_path)
    assert NAMES[script].replace("^", " ") in text
    assert "Spine L1-L4" in text
    assert re.search(r"\b2022-", text)


@pytest.mark.parametrize("outlines", ["quadratic", "cubic"])
def test_a_font_of_the_departments_own_is_embedded_with_its_letters(outlines: str, tmp_path: Path) -> None:
    path, letters = (DROID, "王 小东") if outlines == "quadratic" else (STIX, ONLY_IN_STIX)
    interpretation = interpreted(visit(2024))
    addendum = addendum_to(interpretation, name=f"Doe^Jane={letters}")
    (rendering,) = author_renderings(addendum, interpretation, [], ["pdf"], Fonts(peers.font(path)))
    assert f"Doe Jane {letters}" in " ".join(pdf_text(rendering, tmp_path).split())
    assert fonts_of(rendering, tmp_path) == [EMBEDDED] * 3


EMBEDDED = ["yes", "yes", "yes"]
"""Poppler's words for a font that the file holds, cut down, with the letters that its glyphs stand for."""


def fonts_of(rendering: Authored, folder: Path) -> list[list[str]]:
    document = folder / "rendering.pdf"
    document.write_bytes(read(rendering).EncapsulatedDocument)
    printed = subprocess.run([program("pdffonts"), str(document)], capture_output=True, check=True, text=True)
    assert printed.stderr == "", "Poppler finds no fault in the file"
    return [line.split()[-5:-2] for line in printed.stdout.splitlines()[2:]]


def test_the_pdf_holds_its_fonts_cut_down_to_the_letters_it_shows(
    drawn: tuple[Authored, tuple[Authored, ...]], tmp_path: Path
) -> None:
    assert fonts_of(drawn[1][-1], tmp_path) == [EMBEDDED] * 2
    assert len(read(drawn[1][-1]).EncapsulatedDocument) < 40_000


def test_a_dollar_sign_and_a_backslash_are_what_they_are(tmp_path: Path) -> None:
    interpretation = interpreted(visit(2024))
    (rendering,) = renderings_of(addendum_to(interpretation, name="Doe$_a$^Jane\\alpha"), interpretation, [], "pdf")
    assert "Doe$_a$ Jane" in pdf_text(rendering, tmp_path)


def test_the_pdf_holds_neither_a_date_nor_the_patient_in_its_properties(
    drawn: tuple[Authored, tuple[Authored, ...]],
) -> None:
    document = bytes(read(drawn[1][-1]).EncapsulatedDocument)
    assert document.startswith(b"%PDF-")
    assert b"CreationDate" not in document
    assert b"DXA-0001" not in document


def test_our_own_rendering_that_comes_back_is_recognised(drawn: tuple[Authored, tuple[Authored, ...]]) -> None:
    for rendering in drawn[1]:
        with pytest.raises(UnreadableReportError) as ignored:
            extract(elements_of(read(rendering)), [])
        assert ignored.value.reason is Reason.OWN_ADDENDUM


DIGESTS = """
import hashlib
from tests.sr.render.test_pages import renderings_of, usual
for rendering in renderings_of(*usual()):
    print(hashlib.sha256(rendering.data_set).hexdigest())
"""


def test_another_process_with_other_settings_draws_the_same_bytes(
    drawn: tuple[Authored, tuple[Authored, ...]],
) -> None:
    """Another language, zone and hash seed."""
    others = {"LC_ALL": "de_DE.UTF-8", "TZ": "Asia/Tokyo", "PYTHONHASHSEED": "7"}
    printed = subprocess.run(
        [sys.executable, "-c", DIGESTS], cwd=ROOT, env=os.environ | others, capture_output=True, text=True, check=True
    ).stdout
    assert printed.split() == [hashlib.sha256(rendering.data_set).hexdigest() for rendering in drawn[1]]


def test_another_program_draws_the_pdf_as_the_image_shows_it(
    drawn: tuple[Authored, tuple[Authored, ...]], tmp_path: Path
) -> None:
    document = tmp_path / "rendering.pdf"
    document.write_bytes(read(drawn[1][-1]).EncapsulatedDocument)
    command = [
        program("pdftoppm"),
        "-gray",
        "-scale-to-x",
        str(COLUMNS),
        "-scale-to-y",
        str(ROWS),
        "-f",
        "1",
        "-l",
        "1",
    ]
    printed = Image.open(BytesIO(subprocess.run([*command, str(document)], capture_output=True, check=True).stdout))
    rendering = read(drawn[1][0])
    picture = Image.frombytes("L", (COLUMNS, ROWS), bytes(rendering.PixelData)[: ROWS * COLUMNS])
    small = [image.convert("L").resize((64, 90), Image.Resampling.BOX).tobytes() for image in (printed, picture)]
    assert max(abs(one - other) for one, other in zip(*small, strict=True)) < 40
