"""Every message is valid HL7, says what its addendum says to the digit, and holds whatever text a scanner sends."""

import re
import warnings
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import hl7
import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hl7apy.validation import Validator

from pipeline.clinical.model import Caution, Flag, Interpretation, Obstacle, Overall, Refusal, Result
from pipeline.clinical.withdrawal import withdrawn
from pipeline.edge.configuration.hl7_mapping import read_mapping
from pipeline.messages.exam_result import ExamResult
from pipeline.messages.hl7.mapping import Hl7Mapping, Observation
from pipeline.messages.hl7.names import EXAM_NAMES, REGION_NAMES
from pipeline.messages.hl7.observations import region_id
from pipeline.messages.hl7.oru import DEFAULT_FIELDS, UnwritableLetterError, control_id, write_message
from pipeline.messages.quantities import REGION_CODES, REGION_NUMBERS
from pipeline.sr.author.content import section_sizes
from tests.factories import addenda, results
from tests.factories import interpretations as make
from tests.folders import ROOT

QUICK = 24
MAPPINGS = {path.stem: read_mapping(path) for path in sorted((ROOT / "config" / "hl7").glob("*.toml"))}
CODED = MAPPINGS["coded"]
HOSTILE = {
    "delimiters": "a|b^c~d\\e&f",
    "segments": "one\rOBX|9|NM|BMD||9.999\rtwo\nthree",
    "controls": "\x00\x07\x0b\x1c\rand\x7f\x85",
    "escapes": "\\F\\ \\X0D\\ \\.br\\ \\E",
    "names in braces": "{sex} {accession} {{bmd}}",
    "long": "x" * 10_000,
    "letters": "Müller Люксембург 山田 قباني 𝔘 ﷽",
}


def parsed(message: bytes, encoding: str = "utf-8") -> hl7.Message:
    return hl7.parse(message.decode(encoding))


UNESCAPED = {"E": "\\", "F": "|", "S": "^", "T": "&", "R": "~", ".br": "\n"}


def plain(field: str) -> str:
    """A text as its receiver reads it (HL7 v2.5.1 chapter 2.7)."""
    return re.sub(r"\\(E|F|S|T|R|\.br)\\", lambda escape: UNESCAPED[escape[1]], field)


def valid(message: bytes, report: Path) -> bool:
    """Whether hl7apy takes a message, strictly.

    It holds every OBX-5 for a text of at most 199 letters, also where OBX-2 says FT, which may have 65536. So the texts
    are cut for it; nothing else is.
    """
    text = re.sub(r"(OBX\|\d+\|(?:FT|TX)\|[^|]*\|[^|]*\|)[^|\r]*", r"\1text", message.decode("utf-8"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tree = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT)
        return bool(Validator.validate(tree, report_file=str(report)))


def require_valid(number: int, mapping: Hl7Mapping, report: Path) -> None:
    """Only codes that a table does not list may be remarked upon: our scheme, UCUM, the name of UTF-8."""
    message = write_message(results.result_of(number), replace(mapping, character_set="UNICODE UTF-8"))
    assert valid(message, report), number
    assert re.findall(r"(?m)^(?!Warning: Value .* not in table).+", report.read_text()) == [], number


def agrees(number: int) -> int:
    """Compare every value in the coded message of a patient with the addendum; return how many there were."""
    addendum, sections, impression = results.addendum_of(number)
    said = results.in_codes(addendum)
    message = parsed(write_message(results.of(addendum, sections), CODED))
    seen: dict[tuple[str, str], list[str]] = {}
    for obx in message.segments("OBX"):
        code = str(obx[3]).split("^")
        seen.setdefault((code[-3], str(obx[4])), []).append(str(obx[5]))
    compared = 0
    known = {quantity.key for quantity in (*REGION_NUMBERS.values(), *REGION_CODES.values())}
    wanted = {key for obx in CODED.obx for key in [obx.value.strip("{}")]}
    keys = {quantity.key for name, quantity in (REGION_NUMBERS | REGION_CODES).items() if name in wanted} & known
    for region in results.of(addendum).regions:
        sub_id = region_id(region.region)
        for key in keys:
            values = list(dict.fromkeys(said.regions[region.region.key].get(key, ())))
            sent = seen.pop((key, sub_id), [])
            if key in ("RESULT", "BRESULT", "OBSTACLE", "FLAG"):
                sent = [part.split("^")[0] for one in sent for part in one.split("~")]
            assert sent == values, (number, region.region.key, key)
            compared += len(values)
        for which in ("PRIOR_DATE", "BASELINE_DATE"):
            assert seen.pop((which, sub_id), []) == list(said.regions[region.region.key].get(which, ()))
    assert seen.pop(("OVERALL", ""))[0].split("^")[0] == said.overall
    text = seen.pop(("19005-8", ""), [""])[0]
    assert plain(text).split("\n") == [*impression] or not impression
    assert {key for key, _ in seen} <= {"STATUS", "CATEGORY", "FLAG"}, "nothing is sent that was not compared"
    return compared


def test_hl7apy_takes_every_message_strictly(tmp_path: Path) -> None:
    for number in range(8):
        for mapping in MAPPINGS.values():
            require_valid(number, mapping, tmp_path / "report")


@pytest.mark.slow
def test_hl7apy_takes_every_message_of_500_patients_strictly(tmp_path: Path) -> None:
    for number in range(500):
        require_valid(number, [*MAPPINGS.values()][number % 3], tmp_path / "report")


def test_hl7apy_would_notice_a_serial_number_in_the_field_of_a_date(tmp_path: Path) -> None:
    message = write_message(results.result_of(0), CODED).replace(b"||||DF+", b"|||||DF+")
    with pytest.raises(Exception, match="not an HL7 valid date"):
        valid(message, tmp_path / "report")


@pytest.mark.parametrize("numbers", [range(QUICK), pytest.param(range(QUICK, 500), marks=pytest.mark.slow)], ids=str)
def test_a_message_has_the_values_of_the_addendum_to_the_digit_and_no_others(numbers: range) -> None:
    assert sum(map(agrees, numbers)) > 10 * len(numbers)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_text_holds_it_stays_in_its_field(text: str) -> None:
    result = results.result_of(3)
    names = ("patient_id", "issuer", "accession_number", "study_id", "study_description")
    hostile = replace(
        result,
        header=replace(
            result.header, **dict.fromkeys(names, text), patient_name=f"{text}^Jane", referring_physician=text
        ),
        equipment=replace(result.equipment, serial_number=text, model=text, manufacturer=text, software=text),
        sentences=(text, text),
        sections={"impression": (text, text), "status": (text,)},
        note=text,
    )
    mapping = replace(CODED, fields={"PID-4": "{accession}^x^{study_description}", "OBR-13": "{patient_name}"})
    usual = parsed(write_message(result, mapping))
    message = parsed(write_message(hostile, mapping))
    assert [str(one[0]) for one in message] == [str(one[0]) for one in usual]
    cleaned = re.sub(
        r"[\x00-\x1f\x7f-\x9f]",
        "",
        text.replace("\r", " ").replace("\n", " ").replace("\x0b", " ").replace("\x85", " "),
    ).strip()
    assert plain(str(message.segment("PID")[3][0][0])).strip() == cleaned
    assert str(message.segment("PID")[4]).count("^") == 2
    assert plain(str(message.segment("PID")[5][0][1])) == "Jane" or "^" in text or "=" in text
    assert plain(str(message.segment("OBX")[18][0][0])).strip() == cleaned
    assert len({len(str(one).split("|")) for one in message.segments("OBX")}) == 1


def test_the_same_result_makes_the_same_bytes_and_each_addendum_has_an_identifier_of_its_own() -> None:
    messages = {write_message(results.result_of(number), CODED) for number in (1, 2, 1, 2)}
    assert len(messages) == 2
    identifiers = {control_id(results.result_of(number)) for number in range(QUICK)}
    assert len(identifiers) == QUICK
    assert all(re.fullmatch(r"DX[A-Z2-7]{18}", one) for one in identifiers)


def versions() -> tuple[ExamResult, ExamResult]:
    """The result of an exam, and its correction, in which the hip is gone and the spine has no LSC."""
    first = addenda.of()
    no_lsc = make.interpretation(make.finding(since_prior=make.change(Result.NO_LSC)), overall=Overall.INDETERMINATE)
    return results.of(first), results.of(addenda.of(no_lsc, predecessor=first))


def observations(message: bytes) -> dict[tuple[str, str], tuple[str, str]]:
    segments = parsed(message).segments("OBX")
    assert [str(one[1]) for one in segments] == [str(number) for number in range(1, len(segments) + 1)]
    return {(str(one[3]), str(one[4])): (str(one[5]), str(one[11])) for one in segments}


def test_a_correction_has_the_same_order_and_observation_identifiers_and_deletes_what_is_gone() -> None:
    first, second = versions()
    before, after = write_message(first, CODED), write_message(second, CODED, earlier=[first])
    assert str(parsed(before).segment("OBR")[25]) == "P"
    assert str(parsed(after).segment("OBR")[25]) == "C"
    assert str(parsed(before).segment("OBR")[3]) == str(parsed(after).segment("OBR")[3])
    assert control_id(first) != control_id(second)
    known, corrected = observations(before), observations(after)
    assert set(known) <= set(corrected), "nothing that was sent stays as it was"
    gone = {key for key, (value, status) in corrected.items() if status == "D"}
    assert gone
    assert all(corrected[key] == ("", "D") for key in gone)
    assert all(status == "C" for key, (_, status) in corrected.items() if key not in gone)
    assert any("LSC" in code for code, _ in gone)


def test_what_a_version_lacked_that_was_never_sent_is_deleted_by_the_next() -> None:
    first, second = versions()
    third = replace(second, sop_instance_uid="2.25.3")
    assert observations(write_message(third, CODED, earlier=[first, second])) == observations(
        write_message(second, CODED, earlier=[first])
    )


def test_a_withdrawn_exam_takes_every_number_back() -> None:
    first = addenda.of()
    gone: Interpretation = withdrawn(make.exam(), "wrong patient")
    second = results.of(addenda.of(gone, predecessor=first, priors=[]))
    assert second.withdrawn
    after = observations(write_message(second, CODED, earlier=[results.of(first)]))
    assert {status for (code, _), (_, status) in after.items() if "BMD" in code} == {"D"}
    assert any(value.startswith("WITHDRAWN") for value, _ in after.values())


def test_a_final_addendum_is_final_until_it_is_corrected() -> None:
    assert str(parsed(write_message(results.of(addenda.of(preliminary=False)), CODED)).segment("OBR")[25]) == "F"


def test_a_significant_change_alone_has_an_abnormal_flag() -> None:
    flags = {
        (str(one[5]).split("^")[0], str(one[8]))
        for number in range(QUICK)
        for one in parsed(write_message(results.result_of(number), CODED)).segments("OBX")
        if str(one[2]) == "CWE"
    }
    assert {flag for flag in flags if flag[1]} == {("GAIN", "U"), ("LOSS", "D")}


def doubted() -> ExamResult:
    """A result of a spine that lost more than bone can, which has hardware in it, and of a hip within its LSC."""
    within = make.change(Result.NO_SIGNIFICANT_CHANGE, difference="-0.010", percent="-1.0")
    hip = make.finding("total hip left", since_prior=within)
    implausible = Caution(flag=Flag.IMPLAUSIBLE_CHANGE, text="It is larger than bone can change.", review=True)
    neck = make.finding("femoral neck left", since_prior=make.change(), cautions=(implausible,))
    own = Refusal(obstacle=Obstacle.INVALID_SITE, exam=make.exam(), text="There is hardware in the spine.", own=True)
    return results.of(addenda.of(make.interpretation(make.finding(refusals=(own,)), hip, neck)))


def test_a_text_has_no_number_that_must_not_be_reported() -> None:
    """N5, N6, R3.1: codes and numbers for computers have it, and no flag makes it a finding."""
    names = ("bmd", "change", "percent", "baseline_change", "result")
    texts = [Observation(type="ST", each="region", value=f"{{{name}}}", code=f"T_{name}") for name in names]
    numbers = [Observation(type="NM", each="region", value=f"{{{name}}}") for name in names[:4]]
    wanted = mapping(*texts, *numbers, CODED.obx[8], words={"IMPLAUSIBLE": "to be checked"})
    segments = parsed(write_message(doubted(), wanted)).segments("OBX")
    assert {(str(one[3]), str(one[4])): str(one[5]) for one in segments if str(one[2]) == "ST"} == {
        ("T_bmd", "total hip L"): "0.930",
        ("T_bmd", "femoral neck L"): "0.930",
        ("T_result", "L1-L4"): "Not comparable",
        ("T_result", "total hip L"): "No significant change",
        ("T_result", "femoral neck L"): "to be checked",
    }
    assert [str(one[5]) for one in segments if str(one[2]) == "NM"].count("0.930") == 3
    assert {str(one[5]).split("^")[0] for one in segments if str(one[2]) == "CWE"} == {"NOT_COMPARABLE", "NSC", "LOSS"}
    assert {str(one[8]) for one in segments} == {""}


def test_a_text_has_the_numbers_of_a_significant_change_and_of_a_line_that_agrees() -> None:
    line = Observation(type="TX", each="region", value="{change} ({percent} %), {slope} a year", code="LINE")
    sent = results.of(addenda.of())
    (spine,) = sent.regions
    for slope, expected in (("-0.02", ["-0.040 (-4.1 %), -0.02 a year"]), ("0.02", [])):
        told = replace(sent, regions=(replace(spine, values={**spine.values, "SLOPE": (slope,)}),))
        segments = [str(one) for one in hl7.parse(write_message(told, mapping(line)).decode()) if str(one[0]) == "OBX"]
        assert [one.split("|")[5] for one in segments] == expected


def test_the_scanner_is_in_the_field_for_equipment() -> None:
    message = parsed(write_message(results.of(addenda.of()), CODED))
    assert {str(one[18]) for one in message.segments("OBX")} == {"DF+500475^Lunar Prodigy"}


def test_merge_fields_are_filled_under_their_own_names_in_the_receivers_language_and_letters() -> None:
    message = parsed(write_message(results.of(addenda.of()), MAPPINGS["merge-fields"]), "latin-1")
    fields = {str(one[3]): str(one[5]) for one in message.segments("OBX")}
    assert fields["DXA_LWS_BMD"] == "0.930"
    assert fields["DXA_LWS_VERLAUF"] == "signifikante Abnahme (Voruntersuchung 2022-05-14)"
    assert str(message.segment("MSH")[18]) == "8859/1"


def test_a_letter_that_the_character_set_lacks_is_refused_and_not_replaced() -> None:
    result = results.of(addenda.of())
    strange = replace(result, header=replace(result.header, patient_name="山田^太郎"))
    with pytest.raises(UnwritableLetterError, match="a letter of it is not in 8859/1"):
        write_message(strange, MAPPINGS["merge-fields"])


def test_of_several_spellings_of_a_name_those_are_sent_that_the_character_set_has() -> None:
    result = results.of(addenda.of())
    name = replace(result, header=replace(result.header, patient_name="Yamada^Tarou=山田^太郎"))
    message = parsed(write_message(name, MAPPINGS["merge-fields"]), "latin-1")
    assert str(message.segment("PID")[5]) == "Yamada^Tarou^^^^^L"


def mapping(*obx: Observation, **others: object) -> Hl7Mapping:
    return Hl7Mapping(obx=obx, **others)  # type: ignore[arg-type]


def test_the_sentences_of_a_text_are_told_apart_as_the_mapping_says() -> None:
    result = replace(results.of(addenda.of()), sections={"impression": ("One & two.", "Three.")})
    written = {}
    for way in ("obx", "repeat", "break", "space"):
        wanted = mapping(Observation(type="TX", value="{impression}", code="I^I^L", sentences=way))
        written[way] = [str(one[5]) for one in parsed(write_message(result, wanted)).segments("OBX")]
    assert written == {
        "obx": ["One \\T\\ two.", "Three."],
        "repeat": ["One \\T\\ two.~Three."],
        "break": ["One \\T\\ two.\\.br\\Three."],
        "space": ["One \\T\\ two. Three."],
    }


def test_an_observation_is_left_out_where_a_value_that_it_names_is_missing() -> None:
    line = Observation(type="ST", each="region", value="{region}: {bmd}, T {t_score}", code="LINE")
    bmd = Observation(type="NM", each="region", value="{bmd}")
    message = parsed(write_message(results.of(addenda.of()), mapping(line, bmd)))
    assert "LINE" not in {str(one[3]) for one in message.segments("OBX")}


def test_pages_are_enclosed_where_the_mapping_asks_for_them() -> None:
    pages = Observation(type="ED", value="{pdf}", code="PDF^Pages^L")
    obx = parsed(write_message(results.of(addenda.of()), mapping(pages), pdf=b"%PDF-1.7")).segment("OBX")
    assert str(obx[5]) == "^application^pdf^Base64^JVBERi0xLjc="


def test_before_version_2_4_there_is_no_field_for_the_equipment() -> None:
    old = replace(MAPPINGS["free-text"], version="2.3.1")
    segments = parsed(write_message(results.result_of(0), old)).segments("OBX")
    assert {len(str(one).split("|")) for one in segments} == {15}


def test_dates_are_hl7_dates_and_numbers_decimals() -> None:
    message = parsed(write_message(results.of(addenda.of()), CODED))
    for one in message.segments("OBX"):
        if str(one[2]) == "DT":
            date.fromisoformat(str(one[5]))
        if str(one[2]) == "NM":
            Decimal(str(one[5]))


def test_the_example_of_the_conformance_statement_is_what_is_sent() -> None:
    interpretation = make.interpretation()
    result = results.of(addenda.of(interpretation), section_sizes(interpretation.narrative))
    example = write_message(result, CODED).decode("utf-8").strip("\r").replace("\r", "\n")
    assert f"```\n{example}\n```" in (ROOT / "docs" / "conformance.md").read_text()


def test_the_conformance_statement_has_every_default_of_a_field() -> None:
    page = (ROOT / "docs" / "conformance.md").read_text()
    assert [field for field, text in DEFAULT_FIELDS.items() if f"| {field} | `{text}` |" not in page] == []


def test_the_operations_page_has_every_name_that_a_mapping_may_use() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    assert [name for name in sorted(EXAM_NAMES | REGION_NAMES) if f"`{name}`" not in page] == []


def test_the_operations_page_has_every_key_of_a_mapping() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    keys = {f"obx.{key.name}" for key in fields(Observation)} | {key.name for key in fields(Hl7Mapping)}
    rows = re.findall(r"^\| `\[*([a-z_.]+)\]*` \|", page, re.MULTILINE)
    assert keys - set(rows) == set()
