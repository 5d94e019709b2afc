"""Every transaction is valid FHIR R4, says what its addendum says to the digit, and replaces what it corrects."""

import base64
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from fhir.resources.R4B.bundle import Bundle

from pipeline.clinical.model import Overall, Result
from pipeline.clinical.withdrawal import withdrawn
from pipeline.messages.exam_result import ExamResult
from pipeline.messages.fhir.bundle import Systems, write_bundle
from pipeline.messages.fhir.datatypes import OWN_SYSTEM
from pipeline.messages.quantities import REGION_CODES, REGION_NUMBERS
from pipeline.sr.author.content import section_sizes
from tests.factories import addenda, results
from tests.factories import interpretations as make
from tests.folders import ROOT
from tests.messages.hl7.test_oru import HOSTILE, doubted

QUICK = 24

Resource = dict[str, Any]


def resources(bundle: bytes) -> list[Resource]:
    """The resources of a transaction, numbers with their digits; fhir.resources takes all of it."""
    Bundle.model_validate_json(bundle)
    read = json.loads(bundle, parse_float=Decimal, parse_int=Decimal)
    return [entry["resource"] for entry in read["entry"]]


def of(result: ExamResult, *earlier: ExamResult, pdf: bytes | None = None) -> list[Resource]:
    return resources(write_bundle(result, earlier=earlier, pdf=pdf)[0])


def only(found: list[Resource], kind: str) -> Resource:
    (one,) = (resource for resource in found if resource["resourceType"] == kind)
    return one


def own_code(concept: Resource) -> str:
    """Our own code among those of a concept."""
    (code,) = (coding["code"] for coding in concept["coding"] if coding["system"] == OWN_SYSTEM)
    return str(code)


def values(observation: Resource) -> Iterator[tuple[str, str]]:
    """Each value of an observation and its components, under our own code, as text."""
    for part in (observation, *observation.get("component", [])):
        if "valueQuantity" in part:
            yield own_code(part["code"]), str(part["valueQuantity"]["value"])
        elif "valueCodeableConcept" in part:
            yield own_code(part["code"]), own_code(part["valueCodeableConcept"])


def agrees(number: int) -> int:
    """Compare everything in the transaction of a patient with the addendum; return how many values there were."""
    addendum, sections, impression = results.addendum_of(number)
    result, said = results.of(addendum, sections), results.in_codes(addendum)
    found = of(result)
    sent: dict[str, dict[str, list[str]]] = {}
    names = {resource["bodySite"]["text"] for resource in found if resource["resourceType"] == "Observation"}
    for one in found:
        if one["resourceType"] == "Observation":
            label = one["bodySite"]["text"]
            for key, value in values(one):
                sent.setdefault(label, {}).setdefault(key, []).append(value)
    known = {quantity.key for quantity in (*REGION_NUMBERS.values(), *REGION_CODES.values())}
    compared = 0
    assert len(names) == len(said.regions)
    for (key, wanted), label in zip(said.regions.items(), sent, strict=True):
        for name in known:
            expected = list(dict.fromkeys(wanted.get(name, ())))
            expected = expected if name in ("OBSTACLE", "FLAG", "RESULT", "BRESULT") else expected[:1]
            assert sent[label].pop(name, []) == expected, (number, key, name)
            compared += len(expected)
        assert sent[label] == {}, "nothing is sent that was not compared"
    report = only(found, "DiagnosticReport")
    assert own_code(report["conclusionCode"][0]) == said.overall
    assert report["conclusion"].split("\n")[1:] == [*impression]
    return compared


@pytest.mark.parametrize("numbers", [range(QUICK), pytest.param(range(QUICK, 500), marks=pytest.mark.slow)], ids=str)
def test_a_transaction_is_valid_and_has_the_values_of_the_addendum_to_the_digit_and_no_others(numbers: range) -> None:
    assert sum(map(agrees, numbers)) > 10 * len(numbers)


def test_the_number_of_digits_is_that_of_the_scanner() -> None:
    bundle, _ = write_bundle(results.of(addenda.of()))
    assert b'"value": 0.930, ' in bundle


def test_everything_is_put_under_an_id_of_its_own_that_a_retry_has_again() -> None:
    result = results.of(addenda.of())
    bundle, entries = write_bundle(result)
    assert write_bundle(result) == (bundle, entries)
    read = json.loads(bundle)
    urls = [entry["request"]["url"] for entry in read["entry"]]
    assert {entry["request"]["method"] for entry in read["entry"]} == {"PUT"}
    assert urls == [f"{entry['resource']['resourceType']}/{entry['resource']['id']}" for entry in read["entry"]]
    assert len(set(urls)) == len(urls) == entries
    assert all(re.fullmatch(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}", url) for url in urls)
    referred = set(re.findall(r'"reference": "([^"]+)"', bundle.decode()))
    assert referred <= set(urls)


def test_nobody_has_interpreted_it() -> None:
    report = only(of(results.of(addenda.of())), "DiagnosticReport")
    assert report["status"] == "preliminary"
    assert {"resultsInterpreter", "performer"} & set(report) == set()


def test_a_comparison_is_derived_from_the_present_and_the_prior_exam() -> None:
    found = {resource["id"]: resource for resource in of(results.of(addenda.of()))}
    (comparison,) = (one for one in found.values() if "code" in one and "coding" in one["code"] and _has(one, "RESULT"))
    now, then = (found[source["reference"].partition("/")[2]] for source in comparison["derivedFrom"])
    assert (str(now["valueQuantity"]["value"]), now["effectiveDateTime"]) == ("0.930", "2024-05-14")
    assert (str(then["valueQuantity"]["value"]), then["effectiveDateTime"]) == ("0.970", "2022-05-14")
    assert then["derivedFrom"][0]["identifier"]["value"] == f"urn:oid:{make.STUDY[2022]}"
    assert comparison["interpretation"][0]["coding"][0]["code"] == "D"


def test_what_must_not_be_reported_is_said_of_an_invalid_site_and_nothing_is_a_finding() -> None:
    """N5, R3.1"""
    found = [one for one in of(doubted()) if one["resourceType"] == "Observation"]
    noted = {one["bodySite"]["text"] for one in found if "note" in one}
    assert noted == {"Spine L1-L4"}
    assert not any("interpretation" in one for one in found)


def _has(observation: Resource, code: str) -> bool:
    return any(coding["code"] == code for coding in observation["code"]["coding"])


def test_the_device_is_the_scanner_with_its_serial_number() -> None:
    found = of(results.of(addenda.of()))
    device = only(found, "Device")
    assert (device["serialNumber"], device["deviceName"][0]["name"]) == ("DF+500475", "Lunar Prodigy")
    users = {one["device"]["reference"] for one in found if "device" in one}
    assert users == {f"Device/{device['id']}"}


def test_pages_are_the_presented_form() -> None:
    form = only(of(results.of(addenda.of()), pdf=b"%PDF-1.7"), "DiagnosticReport")["presentedForm"][0]
    assert base64.b64decode(form["data"]) == b"%PDF-1.7"
    assert (form["contentType"], int(form["size"])) == ("application/pdf", 8)


def test_a_correction_replaces_its_resources_and_marks_what_is_gone_as_an_error() -> None:
    first = addenda.of()
    no_lsc = make.interpretation(make.finding(since_prior=make.change(Result.NO_LSC)), overall=Overall.INDETERMINATE)
    before, after = results.of(first), results.of(addenda.of(no_lsc, predecessor=first))
    known = {one["id"] for one in of(before)}
    corrected = {one["id"]: one for one in of(after, before)}
    assert known <= set(corrected)
    gone = [one for one in corrected.values() if one.get("status") == "entered-in-error"]
    assert all("valueQuantity" not in one and "component" not in one for one in gone)
    report = only([*corrected.values()], "DiagnosticReport")
    assert {f"Observation/{one['id']}" for one in gone} & {one["reference"] for one in report["result"]} == set()


def test_a_withdrawn_exam_takes_every_number_back() -> None:
    first = addenda.of()
    after = of(results.of(addenda.of(withdrawn(make.exam(), "x"), predecessor=first, priors=[])), results.of(first))
    statuses = {one["status"] for one in after if one["resourceType"] != "Device"}
    assert statuses == {"entered-in-error"}
    assert not any("valueQuantity" in one for one in after)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_whatever_a_text_holds_it_is_valid_and_stays_in_its_element(text: str) -> None:
    result = results.result_of(3)
    names = ("patient_id", "issuer", "accession_number", "study_id", "study_description")
    hostile = replace(
        result,
        header=replace(result.header, **dict.fromkeys(names, text), patient_name=text, referring_physician=text),
        equipment=replace(result.equipment, serial_number=text, model=text, manufacturer=text, software=text),
        sentences=(text, text),
        sections={"impression": (text, text)},
        note=text,
    )
    found = of(hostile)
    cleaned = re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", "", text).strip()
    assert only(found, "DiagnosticReport")["subject"]["identifier"]["value"] == cleaned
    assert len(found) == len(of(result))


def test_identifiers_have_the_receivers_systems() -> None:
    systems = Systems(patient="urn:oid:1.2.3", accession="urn:oid:1.2.4")
    report = only(resources(write_bundle(results.of(addenda.of()), systems=systems)[0]), "DiagnosticReport")
    assert report["subject"]["identifier"] == {"system": "urn:oid:1.2.3", "value": "DXA-0001"}
    accession = report["basedOn"][0]["identifier"]
    assert (accession["system"], accession["value"]) == ("urn:oid:1.2.4", "A2024")


def test_the_example_of_the_conformance_statement_is_what_is_sent() -> None:
    interpretation = make.interpretation()
    result = results.of(addenda.of(interpretation), section_sizes(interpretation.narrative))
    example = json.dumps(json.loads(write_bundle(result)[0])["entry"][1]["resource"], indent=1)
    shown = (ROOT / "docs" / "conformance.md").read_text()
    assert f"```json\n{example}\n```" in shown
