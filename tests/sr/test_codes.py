"""Each code stands for one concept, and each concept for one code."""

import re
from itertools import product
from pathlib import Path

import pytest
from pydicom.sr._concepts_dict import concepts

from pipeline import clinical
from pipeline.clinical.model import Flag, Obstacle, Overall, Result
from pipeline.clinical.regions import SITE_OF_PART, SPINE, Region, Side, Site, parse_region
from pipeline.sr import codes
from pipeline.sr.dicom.content_item import Code

REGIONS = [
    *(parse_region(key) for key in ("L1-L4", "L2-L4", "L1,L3", "T12", "L5")),
    *(
        Region(part=part, side=side)
        for part, side in product(SITE_OF_PART, (None, *Side))
        if part != SPINE and (side is None or SITE_OF_PART[part] is not Site.TOTAL_BODY)
    ),
]

STANDARD = [code for code in vars(codes).values() if isinstance(code, Code) and code.scheme != codes.SCHEME]
PRIVATE = [code for group in codes.private_scheme().values() for code in group]

NOT_IN_PYDICOM = {
    "35105006": "SNOMED CT, as the standard's own 1250004 Decreased",
    "29627003": "SNOMED CT, seen in public terminology maps",
    "30547004": "SNOMED CT, seen in public terminology maps",
    "C0034375": "PS3.16 TID 1500 row 12",
    "C2348792": "PS3.16 TID 1502 row 3",
}
"""Codes that no context group of PS3.16 lists, which is all that pydicom knows, and where they come from."""


def used_for(region: Region) -> list[Code]:
    side = codes.laterality(region)
    quantities = [codes.bmd(region), codes.t_score(region), codes.z_score(region)]
    return [*quantities, *codes.finding_sites(region), *([side] if side else [])]


LISTED = [
    code
    for code in dict.fromkeys([*STANDARD, *(code for region in REGIONS for code in used_for(region))])
    if code.scheme in ("DCM", "SCT", "UMLS") and code.value not in NOT_IN_PYDICOM
]


@pytest.mark.parametrize("code", LISTED, ids=str)
def test_a_standard_code_means_what_the_standard_says(code: Code) -> None:
    listed: dict[str, dict[str, tuple[str, list[int]]]] = concepts[code.scheme]  # type: ignore[assignment]  # untyped
    meanings = {
        entry[code.value][0]
        for entry in listed.values()
        if code.value in entry and (entry[code.value][1] or code.scheme == "DCM")
    }
    assert code.meaning in meanings


@pytest.mark.parametrize("region", REGIONS, ids=str)
def test_every_region_has_a_bmd_a_score_and_a_place(region: Region) -> None:
    assert all(code.value and code.scheme and 0 < len(code.meaning) <= 64 for code in used_for(region))


def test_left_right_and_undivided_bones_have_codes_of_their_own() -> None:
    """LOINC has one code per side; a mean of both sides is the hip's, not a side's."""
    left, right, mean, hip = (codes.bmd(parse_region(f"total hip{side}")) for side in (" left", " right", " mean", ""))
    assert len({left.value, right.value, hip.value}) == 3
    assert mean == hip


def test_the_codes_of_bmd_are_those_published() -> None:
    """OHDSI's list of LOINC results, and HL7's own examples."""
    published = {
        "L1-L4": ("24966-4", "38267-1", "85394-5"),
        "total hip left": ("46278-8", "80946-7", "80938-4"),
        "femoral neck right": ("46279-6", "80945-9", "80937-6"),
        "33% radius left": ("80952-5", "80944-2", "80936-8"),
    }
    for key, values in published.items():
        region = parse_region(key)
        assert (codes.bmd(region).value, codes.t_score(region).value, codes.z_score(region).value) == values


def test_no_retired_snomed_identifier_is_written() -> None:
    assert not {code.scheme for code in STANDARD} & {"SRT", "SNM3", "99SDM"}


def test_every_private_value_means_one_thing() -> None:
    meanings: dict[str, set[str]] = {}
    for code in PRIVATE:
        meanings.setdefault(code.value, set()).add(code.meaning)
    assert {value: meant for value, meant in meanings.items() if len(meant) > 1} == {}


@pytest.mark.parametrize("member", [*Result, *Overall, *Obstacle, *Flag], ids=repr)
def test_every_member_of_the_vocabulary_is_in_the_private_scheme_in_readable_words(member) -> None:
    code = codes.private(member)
    assert code in PRIVATE
    assert code.value == member.value
    assert code.meaning[0].isupper()
    assert "_" not in code.meaning
    assert len(code.meaning) <= 64


def test_every_rule_that_suggests_or_lacks_an_input_has_a_code() -> None:
    """A7, E17: the numbers of the rules are told in codes."""
    sources = [path.read_text() for path in Path(clinical.__path__[0]).rglob("*.py")]
    named = {rule for source in sources for rule in re.findall(r'rule="([A-Z][\d.]+)"', source)}
    assert len(named) > 15
    assert named == codes.RULES.keys()


def test_acronyms_stay_acronyms_in_a_meaning() -> None:
    assert codes.private(Result.NO_LSC).meaning == "No LSC"
    assert codes.private(Flag.PARTIAL).meaning == "Partial"
    assert codes.private(Result.NO_SIGNIFICANT_CHANGE) == Code("NSC", codes.SCHEME, "No significant change")
