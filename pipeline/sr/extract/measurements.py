"""What does a report say of each region it measures?

Each value stands alone: what cannot be used is left out with its reason, and the others are read.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pipeline.clinical.model import A_THOUSAND, BEYOND_BONE, ZERO, Measurement
from pipeline.clinical.regions import Region, Side, UnknownRegionError
from pipeline.sr.dialects.model import Dialect, Fact, Quantity
from pipeline.sr.dicom.content_item import Code, Item, folded
from pipeline.sr.dicom.unreadable import Reason, UnreadableReportError
from pipeline.sr.dicom.values import (
    BMD_DECIMALS,
    HIGHEST_BMD,
    LOWEST_BMD,
    NoNumberError,
    Number,
    agrees,
    decimals_of,
    is_blank,
    read_number,
    without_noise,
)
from pipeline.sr.extract.containers import Layout, Scan
from pipeline.sr.extract.observation_context import Facts
from pipeline.sr.extract.region import by_place, region_of
from pipeline.sr.extract.remarks import Notes, quoted
from pipeline.sr.extract.temporal_context import TimePointContext

_FEMALE = re.compile(r"\bfemale\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherScores:
    """Scores of a region against another reference population than the one in its measurement; ``None`` if not told."""

    region: Region
    reference_population: str
    t_score: Decimal | None = None
    z_score: Decimal | None = None
    percent_young_adult: Decimal | None = None
    percent_age_matched: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """Each region once, in the order of the report; the scores beside them; and which scan measured which regions."""

    measurements: tuple[Measurement, ...]
    other_scores: tuple[OtherScores, ...]
    regions_of_scans: tuple[tuple[Scan, tuple[Region, ...]], ...]


def read_results(layout: Layout, dialect: Dialect, facts: Facts, notes: Notes, operator: str = "") -> Results:
    """What the scans of a report measured; an operator named elsewhere is the technologist where they name none.

    Raises:
        UnreadableReportError: there is no BMD that can be used, or one region has two.
    """
    reading = _Reading(dialect, layout.time_point, notes, operator)
    told: dict[Region, list[_Told]] = {}
    of_scans: list[tuple[Scan, tuple[Region, ...]]] = []
    for scan in layout.scans:
        regions: dict[Region, None] = {}
        of_scan = facts.of(scan.container.children)
        for found in scan.regions:
            for container, own in by_place(found.container, dialect):
                try:
                    region = region_of(container, dialect, scan, own)
                except UnknownRegionError as unknown:
                    notes.remark(f"{found.label} was not read: {unknown}")
                    continue
                regions[region] = None
                context = facts.of(container.children, around=of_scan)
                told.setdefault(region, []).append(reading.of(container, region, context))
        of_scans.append((scan, tuple(regions)))
    measured = [reading.measurement(region, groups) for region, groups in told.items()]
    measurements = tuple(measurement for measurement in measured if measurement is not None)
    if not measurements:
        for trend in layout.trends:
            notes.ignored(trend.container, "the scanner's own trend")
        raise reading.reason()
    return Results(
        measurements=measurements,
        other_scores=tuple(reading.other_scores),
        regions_of_scans=tuple(of_scans),
    )


_MOST_TOLD = 10

_NAMES = {
    Quantity.BMD: "BMD",
    Quantity.BMC: "BMC",
    Quantity.AREA: "area",
    Quantity.T_SCORE: "T-score",
    Quantity.Z_SCORE: "Z-score",
    Quantity.PERCENT_YOUNG_ADULT: "percent of young adults",
    Quantity.PERCENT_AGE_MATCHED: "percent of age-matched",
    Quantity.TBS: "TBS",
}

_UNITS = {
    Quantity.BMC: ("g",),
    Quantity.AREA: ("cm2",),
    Quantity.T_SCORE: ("1", ""),
    Quantity.Z_SCORE: ("1", ""),
    Quantity.PERCENT_YOUNG_ADULT: ("%", ""),
    Quantity.PERCENT_AGE_MATCHED: ("%", ""),
    Quantity.TBS: ("1", ""),
}
"""The UCUM units a quantity may come in, BMD aside; scores and percentages sent as TEXT have none."""

_RESOLUTIONS = {
    Quantity.BMD: BMD_DECIMALS,
    Quantity.BMC: 2,
    Quantity.AREA: 2,
    Quantity.T_SCORE: 1,
    Quantity.Z_SCORE: 1,
    Quantity.PERCENT_YOUNG_ADULT: 0,
    Quantity.PERCENT_AGE_MATCHED: 0,
    Quantity.TBS: 3,
}
"""The decimals that densitometers print of each, in g/cm2, g and cm2; some print more of content and area."""

_MEASURED = (Quantity.BMD, Quantity.BMC, Quantity.AREA, Quantity.TBS)
"""What a machine measures; the others compare it with some reference population."""

_SCORES = (Quantity.T_SCORE, Quantity.Z_SCORE, Quantity.PERCENT_YOUNG_ADULT, Quantity.PERCENT_AGE_MATCHED)


@dataclass(frozen=True, slots=True)
class _Told:
    """What one container says of a region."""

    values: Mapping[Quantity, Decimal]
    facts: Mapping[Fact, str]

    @property
    def population(self) -> str:
        return self.facts.get(Fact.REFERENCE_POPULATION, "")

    @property
    def has_scores(self) -> bool:
        return any(quantity in self.values for quantity in _SCORES)


@dataclass(slots=True)
class _Reading:
    """The reading of one report."""

    dialect: Dialect
    time_point: TimePointContext
    notes: Notes
    operator: str
    other_scores: list[OtherScores] = field(default_factory=list)
    _refusals: list[UnreadableReportError] = field(default_factory=list)
    _units: dict[Code | None, frozenset[str | None]] = field(default_factory=dict)

    def reason(self) -> UnreadableReportError:
        """Why a report in which no BMD was usable is held."""
        if self._refusals:
            return self._refusals[0]
        return UnreadableReportError(Reason.NO_BMD, "; ".join((*self.notes.told(), *self.notes.apart())[:_MOST_TOLD]))

    def of(self, container: Item, region: Region, facts: Mapping[Fact, str]) -> _Told:
        """What a container says of its region.

        Raises:
            UnreadableReportError: it gives one measured quantity twice and differently.
        """
        told: dict[Quantity, list[Decimal]] = {}
        for item in container.children:
            if item.value_type not in ("NUM", "TEXT"):
                continue
            quantity = self.dialect.quantities.find(item.concept)
            if quantity is None:
                self._note_unknown(item, region)
            elif item.children and (why := self.time_point.why_no_measurement(item.children)):
                self.notes.leave_out(f"{region}: {_NAMES[quantity]}", item.value, why)
            elif not is_blank(item.value):
                value = self._value(item, quantity, region)
                if value is not None:
                    told.setdefault(quantity, []).append(value)
        values = {quantity: self._one(quantity, region, values) for quantity, values in told.items()}
        return _Told({quantity: value for quantity, value in values.items() if value is not None}, facts)

    def measurement(self, region: Region, groups: Sequence[_Told]) -> Measurement | None:
        """What the whole report says of one region; ``None`` when that is no BMD that can be used.

        Raises:
            UnreadableReportError: two different values were measured.
        """
        measured = {
            quantity: self._one(quantity, region, values)
            for quantity in _MEASURED
            if (values := [group.values[quantity] for group in groups if quantity in group.values])
        }
        bmd, bmc, area = (measured.get(quantity) for quantity in (Quantity.BMD, Quantity.BMC, Quantity.AREA))
        if bmd is None:
            self.notes.remark(f"{region} was not read: there is no BMD in it")
            return None
        if not _consistent(region, bmd, bmc, area):
            self._refuse(Reason.INCONSISTENT, region, str(bmd), "is not BMC divided by area")
            return None
        scores, population = self._scores(region, groups)
        return Measurement(
            region=region,
            bmd=bmd,
            bmc=bmc,
            area=area,
            tbs=measured.get(Quantity.TBS),
            t_score=scores.get(Quantity.T_SCORE),
            z_score=scores.get(Quantity.Z_SCORE),
            percent_young_adult=scores.get(Quantity.PERCENT_YOUNG_ADULT),
            percent_age_matched=scores.get(Quantity.PERCENT_AGE_MATCHED),
            scan_mode=_undisputed(groups, Fact.SCAN_MODE),
            analysis_protocol=_undisputed(groups, Fact.ANALYSIS_PROTOCOL),
            reference_population=population,
            technologist=_undisputed(groups, Fact.TECHNOLOGIST) or self.operator,
        )

    def _scores(self, region: Region, groups: Sequence[_Told]) -> tuple[Mapping[Quantity, Decimal], str]:
        """The scores of a region and their reference population.

        For men some scanners tell a region twice, against men and against women: the female reference is the one that
        counts for both (ISCD, R4.5), and the other is kept apart.
        """
        told: dict[str, list[_Told]] = {}
        for group in groups:
            if group.has_scores:
                told.setdefault(self.dialect.population(group.population), []).append(group)
        women = [population for population in told if is_female(population)]
        if len(told) > 1 and not women:
            return self._common_scores(region, groups), ""
        stated = self.dialect.population(_undisputed(groups, Fact.REFERENCE_POPULATION))
        chosen = women[0] if women else next(iter(told), stated)
        for population, others in told.items():
            if population != chosen:
                self.other_scores.append(_other_scores(region, population, self._common_scores(region, others)))
                self.notes.remark(f"{region}: scores against another reference population are kept apart")
        return self._common_scores(region, told.get(chosen, [])), chosen

    def _common_scores(self, region: Region, groups: Sequence[_Told]) -> dict[Quantity, Decimal]:
        """The scores that all who tell them tell alike."""
        scores: dict[Quantity, Decimal] = {}
        for quantity in _SCORES:
            values = [group.values[quantity] for group in groups if quantity in group.values]
            value = self._one(quantity, region, values) if values else None
            if value is not None:
                scores[quantity] = value
        return scores

    def _one(self, quantity: Quantity, region: Region, values: Sequence[Decimal]) -> Decimal | None:
        """The value that is told of a quantity, however often; ``None`` when scores differ, as between populations."""
        if len(values) == 1 or all(other == values[0] for other in values):
            return values[0]
        told = " and as ".join(dict.fromkeys(map(str, values)))
        if quantity in _MEASURED:
            raise UnreadableReportError(Reason.CONTRADICTORY, f"{_NAMES[quantity]} of {region} is told as {told}")
        self.notes.leave_out(f"{region}: {_NAMES[quantity]}", told, "is told more than once and differently,")
        return None

    def _value(self, item: Item, quantity: Quantity, region: Region) -> Decimal | None:
        """The number in an item, in the unit we keep it in; ``None`` when it cannot be used."""
        what = f"{region}: {_NAMES[quantity]}"
        try:
            number = read_number(item.value)
        except NoNumberError:
            self.notes.leave_out(what, item.value, "is not a number")
            return None
        for remark in number.remarks:
            self.notes.remark(f"{what}: {remark}")
        unit = self._unit(item, number, quantity, what)
        if quantity is Quantity.BMD:
            return self._bmd(item, number.value, unit, region)
        value = self._at_resolution(number.value, quantity, what)
        if unit not in _UNITS[quantity]:
            self.notes.leave_out(what, item.value, "has no unit that the dialect knows for it")
            return None
        lowest, highest = (ZERO, BEYOND_BONE[quantity]) if quantity in BEYOND_BONE else (-A_THOUSAND, A_THOUSAND)
        if not lowest < value < highest:
            self.notes.leave_out(what, item.value, "is impossible")
            return None
        return value

    def _at_resolution(self, value: Decimal, quantity: Quantity, what: str) -> Decimal:
        """A value without the digits that floating point has added to the scanner's."""
        read = without_noise(value, _RESOLUTIONS[quantity])
        if decimals_of(read) < decimals_of(value):
            self.notes.remark(f"{what}: digits that floating point has added were left out")
        if quantity is Quantity.BMD and decimals_of(read) > _RESOLUTIONS[quantity]:
            self.notes.remark(f"{what}: it has more digits than densitometers print, and all were kept")
        return read

    def _unit(self, item: Item, number: Number, quantity: Quantity, what: str) -> str | None:
        """The UCUM code of a value's unit, empty where there is none; ``None`` when unknown or told in two ways.

        A unit code is known by its value or its meaning; a unit in the text of the value must be known as well.
        """
        units = self._units.get(item.unit)
        if units is None:
            units = self._units[item.unit] = self._coded_units(item.unit)
        if number.unit:
            units = units | {self.dialect.unit(number.unit)}
        if not units and quantity in self.dialect.units_when_absent:
            self.notes.remark(f"{what} came without a unit, which the dialect assures")
            return self.dialect.units_when_absent[quantity]
        if not units:
            return ""
        return next(iter(units)) if len(units) == 1 else None

    def _coded_units(self, code: Code | None) -> frozenset[str | None]:
        """The UCUM codes that a unit's value and meaning stand for, ``None`` among them only where neither is known."""
        told = () if code is None else (code.value, code.meaning)
        units = frozenset(self.dialect.unit(spelling) for spelling in told if spelling)
        return units - {None} or units

    def _bmd(self, item: Item, value: Decimal, unit: str | None, region: Region) -> Decimal | None:
        """A BMD in g/cm2; ``None`` when nobody may guess the unit, or it must be wrong."""
        if unit == "mg/cm2":
            value = value.scaleb(-3)
            self.notes.remark(f"{region}: BMD was sent in mg/cm2 and divided by 1000")
        elif unit != "g/cm2":
            self._refuse(Reason.UNKNOWN_UNIT, region, item.value, "has no unit that the dialect knows for it")
            return None
        value = self._at_resolution(value, Quantity.BMD, f"{region}: BMD")
        if not LOWEST_BMD <= value <= HIGHEST_BMD:
            self._refuse(Reason.IMPLAUSIBLE, region, item.value, "is one that no bone has")
            return None
        return value

    def _refuse(self, reason: Reason, region: Region, text: str, why: str) -> None:
        self._refusals.append(UnreadableReportError(reason, f"BMD of {region}"))
        self.notes.leave_out(f"{region}: BMD", text, why)

    def _note_unknown(self, item: Item, region: Region) -> None:
        known = self.dialect.facts.find(item.concept) is not None or self.dialect.noted.find(item.concept) is not None
        if item.value_type == "NUM" and not known:
            self.notes.remark(f"{region}: {quoted(item)} is nothing the dialect knows, and was not read")


def is_female(population: str) -> bool:
    """Whether a reference population, as a measurement has it, is one of women."""
    return bool(_FEMALE.search(folded(population)))


def _other_scores(region: Region, population: str, scores: Mapping[Quantity, Decimal]) -> OtherScores:
    return OtherScores(
        region=region,
        reference_population=population,
        t_score=scores.get(Quantity.T_SCORE),
        z_score=scores.get(Quantity.Z_SCORE),
        percent_young_adult=scores.get(Quantity.PERCENT_YOUNG_ADULT),
        percent_age_matched=scores.get(Quantity.PERCENT_AGE_MATCHED),
    )


def _consistent(region: Region, bmd: Decimal, bmc: Decimal | None, area: Decimal | None) -> bool:
    """Whether a BMD is its content divided by its area; of a mean of two sides it need not be."""
    return bmc is None or area is None or region.side is Side.MEAN or agrees(bmd, bmc, area)


def _undisputed(groups: Sequence[_Told], fact: Fact) -> str:
    """The one text that all who know it tell."""
    texts = {group.facts[fact] for group in groups if fact in group.facts}
    return texts.pop() if len(texts) == 1 else ""
