"""Read the measurements of each region: BMD, BMC, area, TBS and scores.

Each value is read on its own: one that cannot be used is left out with a remark, and the others are read.
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
from pipeline.sr.extract.containers import Containers, Scan
from pipeline.sr.extract.observation_context import ObservationContext
from pipeline.sr.extract.region import region_of, split_by_place
from pipeline.sr.extract.remarks import Remarks, quoted
from pipeline.sr.extract.temporal_context import TimePointContext

_FEMALE = re.compile(r"\bfemale\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherScores:
    """Scores of a region against another reference population than the one in its measurement."""

    region: Region
    reference_population: str
    t_score: Decimal | None = None
    z_score: Decimal | None = None
    percent_young_adult: Decimal | None = None
    percent_age_matched: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Results:
    """The measurement of each region, in the order of the report; further scores; and the regions of each scan."""

    measurements: tuple[Measurement, ...]
    other_scores: tuple[OtherScores, ...]
    regions_of_scans: tuple[tuple[Scan, tuple[Region, ...]], ...]


def read_results(
    containers: Containers, dialect: Dialect, context: ObservationContext, remarks: Remarks, operator: str = ""
) -> Results:
    """Read what the scans of a report measured; ``operator`` is the technologist where the scans name none.

    Raises:
        UnreadableReportError: there is no usable BMD, or one region has two different ones.
    """
    reading = _Reading(dialect, containers.time_point, remarks, operator)
    by_region: dict[Region, list[_ContainerValues]] = {}
    of_scans: list[tuple[Scan, tuple[Region, ...]]] = []
    for scan in containers.scans:
        regions: dict[Region, None] = {}
        of_scan = context.of(scan.container.children)
        for found in scan.regions:
            for container, own in split_by_place(found.container, dialect):
                try:
                    region = region_of(container, dialect, scan, own)
                except UnknownRegionError as unknown:
                    remarks.add(f"{found.label} was not read: {unknown}")
                    continue
                regions[region] = None
                of_container = context.of(container.children, inherited=of_scan)
                by_region.setdefault(region, []).append(reading.of(container, region, of_container))
        of_scans.append((scan, tuple(regions)))
    measured = [reading.measurement(region, groups) for region, groups in by_region.items()]
    measurements = tuple(measurement for measurement in measured if measurement is not None)
    if not measurements:
        for trend in containers.trends:
            remarks.add_ignored(trend.container, "the scanner's own trend")
        raise reading.reason()
    return Results(
        measurements=measurements,
        other_scores=tuple(reading.other_scores),
        regions_of_scans=tuple(of_scans),
    )


_MOST_QUOTED = 10

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
"""The UCUM units of each quantity but BMD; scores and percentages sent as TEXT have none."""

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
"""The decimals that densitometers print of each, in g/cm², g and cm²; some print more of BMC and area."""

_MEASURED = (Quantity.BMD, Quantity.BMC, Quantity.AREA, Quantity.TBS)
"""What a scanner measures; the other quantities compare it with a reference population."""

_SCORES = (Quantity.T_SCORE, Quantity.Z_SCORE, Quantity.PERCENT_YOUNG_ADULT, Quantity.PERCENT_AGE_MATCHED)


@dataclass(frozen=True, slots=True)
class _ContainerValues:
    """The values and the observation context of a region in one container."""

    values: Mapping[Quantity, Decimal]
    context: Mapping[Fact, str]

    @property
    def population(self) -> str:
        return self.context.get(Fact.REFERENCE_POPULATION, "")

    @property
    def has_scores(self) -> bool:
        return any(quantity in self.values for quantity in _SCORES)


@dataclass(slots=True)
class _Reading:
    """Reads the measurements of one report and collects remarks and refusals."""

    dialect: Dialect
    time_point: TimePointContext
    remarks: Remarks
    operator: str
    other_scores: list[OtherScores] = field(default_factory=list)
    _refusals: list[UnreadableReportError] = field(default_factory=list)
    _units: dict[Code | None, frozenset[str | None]] = field(default_factory=dict)

    def reason(self) -> UnreadableReportError:
        """Return why a report without a usable BMD is held."""
        if self._refusals:
            return self._refusals[0]
        return UnreadableReportError(
            Reason.NO_BMD, "; ".join((*self.remarks.texts(), *self.remarks.ignored())[:_MOST_QUOTED])
        )

    def of(self, container: Item, region: Region, context: Mapping[Fact, str]) -> _ContainerValues:
        """Read the values of a region in one container.

        Raises:
            UnreadableReportError: a measured quantity has two different values.
        """
        found: dict[Quantity, list[Decimal]] = {}
        for item in container.children:
            if item.value_type not in ("NUM", "TEXT"):
                continue
            quantity = self.dialect.quantities.find(item.concept)
            if quantity is None:
                self._note_unknown(item, region)
            elif item.children and (why := self.time_point.why_no_measurement(item.children)):
                self.remarks.add_unused(f"{region}: {_NAMES[quantity]}", item.value, why)
            elif not is_blank(item.value):
                value = self._value(item, quantity, region)
                if value is not None:
                    found.setdefault(quantity, []).append(value)
        values = {quantity: self._one(quantity, region, values) for quantity, values in found.items()}
        return _ContainerValues({quantity: value for quantity, value in values.items() if value is not None}, context)

    def measurement(self, region: Region, groups: Sequence[_ContainerValues]) -> Measurement | None:
        """Return the measurement of a region from all its containers; ``None`` without a usable BMD.

        Raises:
            UnreadableReportError: a measured quantity has two different values.
        """
        measured = {
            quantity: self._one(quantity, region, values)
            for quantity in _MEASURED
            if (values := [group.values[quantity] for group in groups if quantity in group.values])
        }
        bmd, bmc, area = (measured.get(quantity) for quantity in (Quantity.BMD, Quantity.BMC, Quantity.AREA))
        if bmd is None:
            self.remarks.add(f"{region} was not read: there is no BMD in it")
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

    def _scores(self, region: Region, groups: Sequence[_ContainerValues]) -> tuple[Mapping[Quantity, Decimal], str]:
        """Return the scores of a region and their reference population.

        For men some scanners report a region twice, against men and against women: the female reference counts for both
        (ISCD, R4.5), and the other scores are kept separately.
        """
        by_population: dict[str, list[_ContainerValues]] = {}
        for group in groups:
            if group.has_scores:
                by_population.setdefault(self.dialect.population(group.population), []).append(group)
        women = [population for population in by_population if is_female(population)]
        if len(by_population) > 1 and not women:
            return self._common_scores(region, groups), ""
        stated = self.dialect.population(_undisputed(groups, Fact.REFERENCE_POPULATION))
        chosen = women[0] if women else next(iter(by_population), stated)
        for population, others in by_population.items():
            if population != chosen:
                self.other_scores.append(_other_scores(region, population, self._common_scores(region, others)))
                self.remarks.add(f"{region}: scores against another reference population are kept separately")
        return self._common_scores(region, by_population.get(chosen, [])), chosen

    def _common_scores(self, region: Region, groups: Sequence[_ContainerValues]) -> dict[Quantity, Decimal]:
        """Return the scores on which all containers that have them agree."""
        scores: dict[Quantity, Decimal] = {}
        for quantity in _SCORES:
            values = [group.values[quantity] for group in groups if quantity in group.values]
            value = self._one(quantity, region, values) if values else None
            if value is not None:
                scores[quantity] = value
        return scores

    def _one(self, quantity: Quantity, region: Region, values: Sequence[Decimal]) -> Decimal | None:
        """Return the one value of a quantity; ``None`` when scores differ, as between populations.

        Raises:
            UnreadableReportError: a measured quantity has two different values.
        """
        if len(values) == 1 or all(other == values[0] for other in values):
            return values[0]
        different = " and as ".join(dict.fromkeys(map(str, values)))
        if quantity in _MEASURED:
            raise UnreadableReportError(Reason.CONTRADICTORY, f"{_NAMES[quantity]} of {region} is given as {different}")
        self.remarks.add_unused(f"{region}: {_NAMES[quantity]}", different, "has more than one value")
        return None

    def _value(self, item: Item, quantity: Quantity, region: Region) -> Decimal | None:
        """Return the number in an item, in g/cm², g or cm²; ``None`` when it cannot be used."""
        what = f"{region}: {_NAMES[quantity]}"
        try:
            number = read_number(item.value)
        except NoNumberError:
            self.remarks.add_unused(what, item.value, "is not a number")
            return None
        for remark in number.remarks:
            self.remarks.add(f"{what}: {remark}")
        unit = self._unit(item, number, quantity, what)
        if quantity is Quantity.BMD:
            return self._bmd(item, number.value, unit, region)
        value = self._at_resolution(number.value, quantity, what)
        if unit not in _UNITS[quantity]:
            self.remarks.add_unused(what, item.value, "has no unit that the dialect knows for it")
            return None
        lowest, highest = (ZERO, BEYOND_BONE[quantity]) if quantity in BEYOND_BONE else (-A_THOUSAND, A_THOUSAND)
        if not lowest < value < highest:
            self.remarks.add_unused(what, item.value, "is impossible")
            return None
        return value

    def _at_resolution(self, value: Decimal, quantity: Quantity, what: str) -> Decimal:
        """Return a value without the digits that floating point has added to the scanner's."""
        read = without_noise(value, _RESOLUTIONS[quantity])
        if read is not value and decimals_of(read) < decimals_of(value):
            self.remarks.add(f"{what}: digits that floating point has added were left out")
        if quantity is Quantity.BMD and decimals_of(read) > _RESOLUTIONS[quantity]:
            self.remarks.add(f"{what}: it has more digits than densitometers print, and all were kept")
        return read

    def _unit(self, item: Item, number: Number, quantity: Quantity, what: str) -> str | None:
        """Return the UCUM code of a value's unit, empty where there is none; ``None`` when unknown or contradictory.

        A coded unit is found by its value or its meaning; a unit in the text of the value must agree.
        """
        units = self._units.get(item.unit)
        if units is None:
            units = self._units[item.unit] = self._coded_units(item.unit)
        if number.unit:
            units = units | {self.dialect.unit(number.unit)}
        if not units and quantity in self.dialect.units_when_absent:
            self.remarks.add(f"{what} came without a unit, which the dialect assures")
            return self.dialect.units_when_absent[quantity]
        if not units:
            return ""
        return next(iter(units)) if len(units) == 1 else None

    def _coded_units(self, code: Code | None) -> frozenset[str | None]:
        """Return the UCUM codes of a unit's value and meaning; ``None`` alone where neither is known."""
        spellings = () if code is None else (code.value, code.meaning)
        units = frozenset(self.dialect.unit(spelling) for spelling in spellings if spelling)
        return units - {None} or units

    def _bmd(self, item: Item, value: Decimal, unit: str | None, region: Region) -> Decimal | None:
        """Return a BMD in g/cm²; ``None`` when its unit is unknown, or must be wrong."""
        if unit == "mg/cm2":
            value = value.scaleb(-3)
            self.remarks.add(f"{region}: BMD was sent in mg/cm2 and divided by 1000")
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
        self.remarks.add_unused(f"{region}: BMD", text, why)

    def _note_unknown(self, item: Item, region: Region) -> None:
        known = self.dialect.facts.find(item.concept) is not None or self.dialect.noted.find(item.concept) is not None
        if item.value_type == "NUM" and not known:
            self.remarks.add(f"{region}: {quoted(item)} is nothing the dialect knows, and was not read")


def is_female(population: str) -> bool:
    """Whether a measurement's reference population is female."""
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
    """Whether BMD is BMC divided by area; of a mean of two sides it need not be."""
    return bmc is None or area is None or region.side is Side.MEAN or agrees(bmd, bmc, area)


def _undisputed(groups: Sequence[_ContainerValues], fact: Fact) -> str:
    """Return the text on which all containers that have it agree; empty when they differ."""
    texts = {group.context[fact] for group in groups if fact in group.context}
    return texts.pop() if len(texts) == 1 else ""
