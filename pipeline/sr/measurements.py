"""Which regions does a report measure, and what does it say of each?

A scan is a container below the root, a region a container below a scan, and nothing deeper or elsewhere is read: a
trend or history under a name nobody told us must not pass for today's measurement.
"""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TypeVar

from pipeline.clinical.model import A_THOUSAND, BEYOND_BONE, ZERO, Measurement
from pipeline.clinical.regions import SPINE, VERTEBRAE, Region, Side, UnknownRegion
from pipeline.sr.dialect import Concept, ContainerRule, Dialect, FindingSite, Quantity
from pipeline.sr.naming import UnknownName, name_region, place
from pipeline.sr.reasons import Reason, UnreadableReport
from pipeline.sr.tree import Code, Item
from pipeline.sr.values import HIGHEST_BMD, LOWEST_BMD, NoNumber, Number, agrees, is_blank, read_number


def read_measurements(root: Item, dialect: Dialect, remarks: list[str]) -> tuple[Measurement, ...]:
    """Each region once, in the order of the report; what is not read as it stands is remarked.

    Raises:
        UnreadableReport: there is no BMD, or one without a known unit, an implausible or a contradicted one.
    """
    remarks.extend(f"{quoted(item)} is not whole: {problem}" for item in root.walk() for problem in item.problems)
    told: dict[Region, _Told] = {}
    for scan, container, label in _region_containers(root, dialect, remarks):
        try:
            region = _region(container, dialect, scan)
        except UnknownRegion as unknown:
            remarks.append(f"{label} was not read: {unknown}")
            continue
        _collect(container, region, dialect, told.setdefault(region, {}), remarks)
    measured = [_measurement(region, values, remarks) for region, values in told.items()]
    measurements = tuple(measurement for measurement in measured if measurement is not None)
    if not measurements:
        raise UnreadableReport(Reason.NO_BMD, "; ".join(remarks[:_MOST_TOLD]))
    return measurements


def quoted(item: Item) -> str:
    """How an item is called, never what it says: concept names are vocabulary, values may be a patient's."""
    kind = item.value_type or "item"
    return f"{kind} {str(item.concept)[:_LONGEST_QUOTE]!r}" if item.concept else f"{kind} without a name"


_T = TypeVar("_T")

_Told = dict[Quantity, list[Decimal]]
"""All that a report says of one region, by quantity."""

_LONGEST_QUOTE = 64
_MOST_TOLD = 10

_NAMES = {
    Quantity.BMD: "BMD",
    Quantity.BMC: "BMC",
    Quantity.AREA: "area",
    Quantity.T_SCORE: "T-score",
    Quantity.Z_SCORE: "Z-score",
    Quantity.PERCENT_YOUNG_ADULT: "percent of young adults",
    Quantity.PERCENT_AGE_MATCHED: "percent of age-matched",
}

_UNITS = {
    Quantity.BMC: ("g",),
    Quantity.AREA: ("cm2",),
    Quantity.T_SCORE: ("1", ""),
    Quantity.Z_SCORE: ("1", ""),
    Quantity.PERCENT_YOUNG_ADULT: ("%", ""),
    Quantity.PERCENT_AGE_MATCHED: ("%", ""),
}
"""The UCUM units a quantity may come in, BMD aside; scores and percentages sent as TEXT have none."""

_MEASURED = {Quantity.BMD, Quantity.BMC, Quantity.AREA}
"""What a machine measures; the others compare it with some reference population."""


def _region_containers(root: Item, dialect: Dialect, remarks: list[str]) -> Iterator[tuple[ContainerRule, Item, str]]:
    """The containers of regions, each with its scan and with a label for remarks."""
    for container in _containers(root, root, dialect):
        scan = next((rule for rule in dialect.scans if rule.matches(container, root)), None)
        if scan is None:
            if any(item.value_type == "NUM" for item in container.walk()):
                remarks.append(f"{quoted(container)} was not read: the dialect does not know it as a scan")
            continue
        wanted = dialect.region.container
        for number, region in enumerate(_containers(container, root, dialect), start=1):
            if wanted is None or wanted.matches(region.concept):
                yield scan, region, f"{quoted(region)}, number {number} of {quoted(container)},"


def _containers(item: Item, root: Item, dialect: Dialect) -> Iterator[Item]:
    """The containers directly below an item, without those that are never measurements."""
    for child in item.children:
        if child.value_type == "CONTAINER" and not any(rule.matches(child, root) for rule in dialect.never):
            yield child


def _region(container: Item, dialect: Dialect, scan: ContainerRule) -> Region:
    """The region a container is about: by its name, else by its finding sites, which must not disagree.

    Raises:
        UnknownRegion: nothing in the container tells, or two things contradict each other.
    """
    told = _finding_sites(container, dialect)
    side = _agreed([scan.side, *_lateralities(container, dialect)], "its scan and its laterality are different sides")
    site = _agreed([scan.site, *(known.site for known in told)], "its scan and its finding site are different sites")
    levels = tuple(level for level in VERTEBRAE if any(level in known.vertebrae for known in told))
    try:
        region = name_region(dialect, _name(container, dialect), site=site, side=side)
    except UnknownName:
        if levels:
            return Region(part=SPINE, vertebrae=levels)
        part = _agreed([known.part or None for known in told], "its finding sites are different parts")
        if part is None:
            raise
        return place(part, side)
    if levels and levels != region.vertebrae:
        raise UnknownRegion("its name and its finding sites tell different vertebrae")
    return region


def _agreed(told: Sequence[_T | None], otherwise: str) -> _T | None:
    """The one thing that is told, if anything is.

    Raises:
        UnknownRegion: different things are told.
    """
    different = {one for one in told if one is not None}
    if len(different) > 1:
        raise UnknownRegion(otherwise)
    return next(iter(different), None)


def _name(container: Item, dialect: Dialect) -> str:
    """What names a region; empty when nothing does."""
    concept = dialect.region.name
    if concept is None:
        return container.concept.meaning if container.concept else ""
    texts = (item.value for item in container.children if item.value_type == "TEXT" and concept.matches(item.concept))
    return next(texts, "")


def _finding_sites(container: Item, dialect: Dialect) -> tuple[FindingSite, ...]:
    """What the dialect knows of the container's finding sites; of each, the first entry whose modifier fits."""
    known: list[FindingSite] = []
    for item, code in _coded(container.children, dialect.region.finding_site):
        modifiers = [modifier for _, modifier in _coded((*item.children, *container.children), dialect.region.modifier)]
        for entry in dialect.finding_sites:
            if entry.code.matches(code) and (entry.modifier is None or any(map(entry.modifier.matches, modifiers))):
                known.append(entry)
                break
    return tuple(known)


def _lateralities(container: Item, dialect: Dialect) -> list[Side]:
    """The sides a container's codes tell, below its finding sites or beside them."""
    below = [child for item, _ in _coded(container.children, dialect.region.finding_site) for child in item.children]
    codes = [code for _, code in _coded((*below, *container.children), dialect.region.laterality)]
    return [names.side for code in codes for names in dialect.sides if names.code and names.code.matches(code)]


def _coded(items: Sequence[Item], concept: Concept | None) -> Iterator[tuple[Item, Code]]:
    """The items of one concept name, with their codes."""
    for item in items:
        if concept is not None and item.code is not None and concept.matches(item.concept):
            yield item, item.code


def _collect(container: Item, region: Region, dialect: Dialect, told: _Told, remarks: list[str]) -> None:
    """Add what a container says of its region."""
    for item in container.children:
        quantity = dialect.quantity(item.concept) if item.value_type in ("NUM", "TEXT") else None
        if quantity is None or is_blank(item.value):
            continue
        value = _value(item, quantity, region, dialect, remarks)
        if value is not None:
            told.setdefault(quantity, []).append(value)


def _measurement(region: Region, told: _Told, remarks: list[str]) -> Measurement | None:
    """What the whole report says of one region; ``None`` when that is no BMD.

    Raises:
        UnreadableReport: two different values were measured.
    """
    values = {quantity: value for quantity in told if (value := _one(quantity, region, told, remarks)) is not None}
    bmd, bmc, area = (values.get(quantity) for quantity in (Quantity.BMD, Quantity.BMC, Quantity.AREA))
    if bmd is None:
        remarks.append(f"{region} was not read: there is no BMD in it")
        return None
    if bmc is not None and area is not None and not agrees(bmd, bmc, area):
        remarks.append(f"{region}: BMC divided by area is not the BMD")
    return Measurement(
        region=region,
        bmd=bmd,
        bmc=bmc,
        area=area,
        t_score=values.get(Quantity.T_SCORE),
        z_score=values.get(Quantity.Z_SCORE),
        percent_young_adult=values.get(Quantity.PERCENT_YOUNG_ADULT),
        percent_age_matched=values.get(Quantity.PERCENT_AGE_MATCHED),
    )


def _one(quantity: Quantity, region: Region, told: _Told, remarks: list[str]) -> Decimal | None:
    """The value that is told of a quantity, however often; ``None`` when scores differ, as between populations."""
    first, *others = told[quantity]
    if all(other == first for other in others):
        return first
    if quantity in _MEASURED:
        raise UnreadableReport(Reason.CONTRADICTORY, f"{_NAMES[quantity]} of {region}")
    remarks.append(f"{region}: {_NAMES[quantity]} is told more than once and differently, and was not used")
    return None


def _value(item: Item, quantity: Quantity, region: Region, dialect: Dialect, remarks: list[str]) -> Decimal | None:
    """The number in an item, in the unit we keep it in; ``None`` when it cannot be used."""
    what = f"{region}: {_NAMES[quantity]}"
    try:
        number = read_number(item.value)
    except NoNumber:
        remarks.append(f"{what} is not a number and was not used")
        return None
    remarks.extend(f"{what}: {remark}" for remark in number.remarks)
    unit = _unit(item, number, dialect)
    if quantity is Quantity.BMD:
        return _bmd(number.value, unit, region, remarks)
    if unit not in _UNITS[quantity]:
        remarks.append(f"{what} has no unit that the dialect knows for it, and was not used")
        return None
    lowest, highest = (ZERO, BEYOND_BONE[quantity]) if quantity in _MEASURED else (-A_THOUSAND, A_THOUSAND)
    if not lowest < number.value < highest:
        remarks.append(f"{what} is impossible and was not used")
        return None
    return number.value


def _unit(item: Item, number: Number, dialect: Dialect) -> str | None:
    """The UCUM code of a value's unit, empty where there is none; ``None`` when unknown or told in two ways.

    A unit code is known by its value or its meaning; a unit in the text of the value must be known as well.
    """
    told = [] if item.unit is None else [item.unit.value, item.unit.meaning]
    units = {dialect.unit(spelling) for spelling in told if spelling.strip()}
    if len(units) > 1:
        units.discard(None)
    if number.unit:
        units.add(dialect.unit(number.unit))
    if not units:
        return ""
    return units.pop() if len(units) == 1 else None


def _bmd(value: Decimal, unit: str | None, region: Region, remarks: list[str]) -> Decimal:
    """A BMD in g/cm2.

    Raises:
        UnreadableReport: nobody may guess the unit, or it must be wrong.
    """
    if unit == "mg/cm2":
        value = value.scaleb(-3)
        remarks.append(f"{region}: BMD was sent in mg/cm2 and divided by 1000")
    elif unit != "g/cm2":
        raise UnreadableReport(Reason.UNKNOWN_UNIT, f"BMD of {region}")
    if not LOWEST_BMD <= value <= HIGHEST_BMD:
        raise UnreadableReport(Reason.IMPLAUSIBLE, f"BMD of {region}")
    return value
