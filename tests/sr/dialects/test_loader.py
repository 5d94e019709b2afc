"""A dialect says as data how a vendor names what is in its reports."""

import pytest

from pipeline.clinical.regions import SITE_OF_PART, Region, Side, Site, UnknownRegionError, parse_region
from pipeline.edge.configuration.dialects import shipped_dialects
from pipeline.sr.dialects.concepts import Concept, Lookup
from pipeline.sr.dialects.loader import DialectError, load_dialects, parse_dialect
from pipeline.sr.dialects.model import Dialect, normal_manufacturer
from pipeline.sr.dialects.region_names import name_region
from pipeline.sr.dicom.content_item import Code
from pipeline.sr.extract.report import extract
from tests.factories.elements import elements_of
from tests.factories.reports import container, num, report, text, values

SMALLEST = """
name = "acme"
version = "3"

[[report]]
root = { meaning = "Acme bone report" }

[[scan]]
container = { meaning = "Spine" }
site = "spine"

[quantities]
bmd = [{ meaning = "Density" }]

[units]
"g/cm2" = ["grams per square centimetre"]
"""


def dialect(name: str) -> Dialect:
    return next(known for known in shipped_dialects() if known.name == name)


def errors_in(toml: str) -> tuple[str, ...]:
    with pytest.raises(DialectError) as error:
        load_dialects({"acme.toml": toml})
    return error.value.errors


def test_a_site_writes_its_own_dialect_without_code():
    (acme,) = load_dialects({"acme.toml": SMALLEST})
    unit = ("0001", "99ACME", "Grams per  square centimetre")
    sent = report(container("Spine", container("L1-L4", num("Density", "0.912", unit))), root="ACME Bone Report")
    read = extract(elements_of(sent), [*shipped_dialects(), acme])
    assert read.dialect == "acme 3"
    assert values(read) == {"L1-L4": "0.912"}


def test_three_dialects_are_shipped():
    assert [str(known) for known in shipped_dialects()] == ["hologic 2", "lunar 2", "tid1500 2"]


def test_all_errors_in_all_dialects_are_reported_together_under_their_keys():
    broken = """
    nam = "acme"
    version = 3
    never = "nothing"

    [[report]]
    manufacturer = "Acme"

    [[scan]]
    container = { value = "1" }
    site = "knee"
    where = [{ text = { meaning = "*" }, contains = "", anywhere = "yes" }]

    [region]
    name = "Region"

    [names.hip]
    "femoral neck" = "Neck"
    "33% radius" = ["Radius"]

    [names.knee]

    [[finding_site]]
    code = { value = "1", scheme = "SCT" }
    vertebra = "L1-L4"

    [[finding_site]]
    part = "femoral neck"
    site = "spine"

    [quantities]
    bmx = [{ meaning = "BMD" }]

    [units]
    "g" = ["gram", 3]

    [[place]]
    side = "left"

    [[trend]]
    container = { meaning = "Trend" }

    [[trend]]
    container = { meaning = "Trend *" }
    entries = "page"

    [facts]
    shoe_size = [{ meaning = "Size" }]

    [units_when_absent]
    bmd = "lb"

    [device]
    serial = { meaning = "Model" }
    """
    with pytest.raises(DialectError) as error:
        load_dialects({"acme.toml": broken, "other.toml": "name = "})
    assert sorted(error.value.errors) == [
        "acme.toml: device.serial: is no key we know",
        "acme.toml: facts.shoe_size: is no key we know",
        "acme.toml: finding_site[1].site: needs a site, a part or a vertebra",
        "acme.toml: finding_site[1].vertebra: 'L1-L4' is none we know",
        "acme.toml: finding_site[2].code: is missing",
        "acme.toml: finding_site[2].part: 'femoral neck' is no part we know of this site",
        "acme.toml: nam: is no key we know",
        "acme.toml: name: is missing",
        "acme.toml: names.hip.33% radius: is no part of the hip we know",
        "acme.toml: names.hip.femoral neck: must be a list of texts",
        "acme.toml: names.knee: is no key we know",
        "acme.toml: never: must be tables, written as [[never]]",
        "acme.toml: place[1].site: is missing",
        "acme.toml: place[1].where: at least one [[where]] is needed",
        "acme.toml: quantities.bmd: is missing; without it no report could be read",
        "acme.toml: quantities.bmx: is no key we know",
        "acme.toml: region.name.meaning: needs a meaning, or a value and its scheme",
        "acme.toml: region.name: must be a table",
        "acme.toml: report[1].root: needs a root, or something the root contains",
        "acme.toml: scan[1].container.meaning: needs a meaning, or a value and its scheme",
        "acme.toml: scan[1].site: 'knee' is none we know",
        "acme.toml: scan[1].where[1].anywhere: must be true or false",
        "acme.toml: scan[1].where[1].contains: is missing",
        "acme.toml: scan[1].where[1].text.meaning: needs a meaning, or a value and its scheme",
        "acme.toml: trend[1].container: needs a meaning with * where the region is named",
        "acme.toml: trend[1].entries: needs to be 'date' or 'region'",
        "acme.toml: trend[2].entries: 'page' is none we know",
        "acme.toml: trend[2].entries: needs to be 'date' or 'region'",
        "acme.toml: units.g: must be a list of texts",
        "acme.toml: units: neither g/cm2 nor mg/cm2 is among them; without one no BMD could be read",
        "acme.toml: units_when_absent.bmd: 'lb' is none of the units",
        "acme.toml: version: must be a text",
        "other.toml: Invalid value (at end of document)",
    ]
    assert str(error.value).splitlines() == list(error.value.errors)


def test_a_dialect_needs_at_least_a_report_and_a_scan():
    assert errors_in('name = "a"\nversion = "1"\nquantities.bmd = [{ meaning = "B" }]\nunits."g/cm2" = []') == (
        "acme.toml: report: at least one [[report]] is needed",
        "acme.toml: scan: at least one [[scan]] is needed",
    )


def test_two_dialects_of_one_name_are_refused():
    with pytest.raises(DialectError, match="two dialects are called 'acme'"):
        load_dialects({"one.toml": SMALLEST, "two.toml": SMALLEST})


def test_a_dialect_without_text_is_refused_whole():
    with pytest.raises(DialectError):
        parse_dialect({})


@pytest.mark.parametrize(
    ("concept", "code", "matches"),
    [
        (Concept(meanings=("trend*",)), Code("1", "99X", "Trend  L1-L4"), True),
        (Concept(meanings=("trend*",)), Code("1", "99X", "A trend"), False),
        (Concept(meanings=("*diff*",)), Code("1", "99X", "Neck Diff."), True),
        (Concept(meanings=("data set [1]",)), Code("1", "99X", "Data Set [1]"), True),
        (Concept(meanings=("Total",)), Code("1", "99X", "Total Left"), False),
        (Concept(value="G-A166", scheme="SRT"), Code("42798000", "SCT", "anything"), True),
        (Concept(value="1", scheme="99X", meanings=("Area",)), Code("2", "99Y", "AREA"), True),
        (Concept(value="1", scheme="99X"), Code("1", "99Y", ""), False),
        (Concept(value="1", scheme="99X"), Code("", "", ""), False),
        (Concept(meanings=("Area",)), None, False),
    ],
)
def test_a_concept_matches_by_code_or_by_meaning(concept, code, matches):
    assert concept.matches(code) is matches


@pytest.mark.parametrize("spelling", ["HOLOGIC, Inc.", "Hologic", "hologic  inc.", "HOLOGIC"])
def test_a_maker_has_one_name_however_it_spells_itself(spelling):
    assert normal_manufacturer(spelling, shipped_dialects()) == "Hologic"


@pytest.mark.parametrize("spelling", ["GE Healthcare", "GE MEDICAL SYSTEMS LUNAR", "LUNAR", "ge healthcare"])
def test_ge_has_one_name_through_the_years(spelling):
    assert normal_manufacturer(spelling, shipped_dialects()) == "GE Healthcare"


def test_an_unknown_maker_keeps_its_name():
    assert normal_manufacturer(" Norland ", shipped_dialects()) == "Norland"


@pytest.mark.parametrize("spelling", [" g/cm2", "g/cm²", "g/cm^2", "gm/cm2", "G/CM2"])
@pytest.mark.parametrize("name", ["hologic", "lunar", "tid1500"])
def test_every_spelling_seen_is_gram_per_square_centimetre(name, spelling):
    assert dialect(name).unit(spelling) == "g/cm2"


@pytest.mark.parametrize("name", ["hologic", "lunar", "tid1500"])
def test_no_other_unit_is_gram_per_square_centimetre(name):
    assert dialect(name).unit("mg/cm2") == "mg/cm2"
    for unit in ("g/cm-2", "g/cm3", "mg/cm3", "g", "1", "", "kg/m2"):
        assert dialect(name).unit(unit) != "g/cm2"


@pytest.mark.parametrize(
    ("vendor", "name", "site", "side", "key"),
    [
        ("lunar", "L1-L4", Site.SPINE, None, "L1-L4"),
        ("lunar", "L1-L4 (L2)", Site.SPINE, None, "L1,L3-L4"),
        ("lunar", "L1-L4(L2,L3)", Site.SPINE, None, "L1,L4"),
        ("lunar", "L2 - L4", Site.SPINE, None, "L2-L4"),
        ("lunar", "L1\u2013L3", Site.SPINE, None, "L1-L3"),
        ("lunar", "l1, l3", Site.SPINE, None, "L1,L3"),
        ("lunar", "Neck", Site.HIP, Side.LEFT, "femoral neck left"),
        ("lunar", "TOTAL", Site.HIP, Side.RIGHT, "total hip right"),
        ("lunar", "Neck Left", Site.HIP, None, "femoral neck left"),
        ("lunar", "Total Mean", Site.HIP, None, "total hip mean"),
        ("lunar", "Radius 33%", Site.FOREARM, Side.LEFT, "33% radius left"),
        ("hologic", "1/3", Site.FOREARM, Side.RIGHT, "33% radius right"),
        ("hologic", "Total", Site.FOREARM, Side.RIGHT, "total radius right"),
        ("hologic", "Total", Site.HIP, Side.RIGHT, "total hip right"),
        ("hologic", "L1-L4", None, None, "L1-L4"),
        ("tid1500", "Femoral neck, left", None, None, "femoral neck left"),
        ("tid1500", "Left total hip", None, None, "total hip left"),
        ("tid1500", "total_hip_right", None, None, "total hip right"),
        ("tid1500", "Lumbar spine L1-L4", None, None, "L1-L4"),
        ("tid1500", "Total body", None, None, "total body"),
    ],
)
def test_a_vendors_name_means_a_region(vendor, name, site, side, key):
    assert name_region(dialect(vendor), name, site=site, side=side) == parse_region(key)


@pytest.mark.parametrize(
    ("vendor", "name", "site", "side"),
    [
        ("lunar", "Neck", Site.HIP, None),  # of which hip?
        ("lunar", "Neck Right", Site.HIP, Side.LEFT),
        ("lunar", "Neck Mean", Site.HIP, Side.LEFT),
        ("lunar", "Neck", Site.SPINE, None),
        ("lunar", "L1-L4", Site.HIP, Side.LEFT),
        ("lunar", "L1-L4 (L5)", Site.SPINE, None),
        ("lunar", "L2 (L2)", Site.SPINE, None),
        ("lunar", "L1-L4 (high)", Site.SPINE, None),
        ("lunar", "Total", Site.SPINE, None),  # of which vertebrae?
        ("lunar", "Left", Site.HIP, None),
        ("hologic", "Total", None, None),
        ("hologic", "Neck", None, None),
        ("hologic", "L1-L4 (L2)", None, None),  # nobody said what brackets mean there
        ("tid1500", "Lesion 1", None, None),
        ("tid1500", "", None, None),
        ("tid1500", "hip", None, Side.LEFT),
    ],
)
def test_a_name_that_leaves_something_open_means_no_region(vendor, name, site, side):
    with pytest.raises(UnknownRegionError) as unknown:
        name_region(dialect(vendor), name, site=site, side=side)
    assert not name or name not in str(unknown.value), "a name may be any text of a report"


def test_every_region_key_is_a_tracking_identifier():
    """What our own addenda call a region, others may."""
    for part, site in SITE_OF_PART.items():
        if part == "spine":
            continue
        sides = list(Side) if site in (Site.HIP, Site.FOREARM) else [None]
        for region in (Region(part=part, side=side) for side in sides):
            assert name_region(dialect("tid1500"), region.key) == region
    for levels in (("L1",), ("L1", "L2", "L3", "L4"), ("L1", "L3", "L4"), ("L2", "L4")):
        region = Region(part="spine", vertebrae=levels)
        assert name_region(dialect("tid1500"), region.key) == region


def test_a_place_is_known_by_the_texts_of_a_container_or_of_the_whole_report():
    scan_mode = next(place for place in dialect("hologic").places if place.where[0].anywhere and place.side)
    assert (scan_mode.site, scan_mode.side) == (Site.HIP, Side.LEFT)
    sent = report(
        container("Scan Information", text("Scan Mode", "f LEFT  hip")),
        container("Data Set 1", text("Data Set Title", "Results Summary"), container("Total", num("BMD", "0.8"))),
        root="BMD Rate of Change Report",
    )
    assert values(extract(elements_of(sent), shipped_dialects())) == {"total hip left": "0.8"}


def test_a_code_counts_before_a_name_and_the_first_of_several_counts():
    known = Lookup(
        [
            (Concept(meanings=("BMD",)), "by name"),
            (Concept(value="38267-1", scheme="LN"), "by code"),
            (Concept(meanings=("B*",)), "by pattern"),
        ]
    )
    assert known.find(Code("38267-1", "LN", "BMD")) == "by code"
    assert known.find(Code("1", "99X", " bmd ")) == "by name"
    assert known.find(Code("1", "99X", "bone")) == "by pattern"
    assert known.find(Code("1", "99X", "x" * 1000)) is None
    assert known.find(None) is None
