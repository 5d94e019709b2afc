"""Load dialects from TOML text: how a vendor names what is in its reports, as data that a site can add to.

A dialect is a TOML file in ``vendors``, or of a site in ``config/dialects``; ``docs/dialects.md`` has the format.
"""

import json
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from hashlib import blake2s
from typing import Any

from pipeline.clinical.regions import SITE_OF_PART, SPINE, Side, Site, UnknownRegionError, parse_vertebrae
from pipeline.errors import DxatrendError
from pipeline.sr.dialects.concepts import Concept, Lookup
from pipeline.sr.dialects.model import (
    Condition,
    ContainerRule,
    DateOrder,
    DeviceItems,
    Dialect,
    Fact,
    FindingSite,
    NamedFor,
    NeverRule,
    PartNames,
    PhantomSigns,
    PlaceRule,
    Quantity,
    RegionRule,
    ReportRule,
    SideNames,
    Since,
    TrendRule,
    VertebraNames,
)
from pipeline.sr.dialects.toml_table import Table, read_concept


class DialectError(DxatrendError):
    """Dialects that cannot be used; its text has a line for each error, with its key."""

    def __init__(self, errors: Sequence[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = tuple(errors)


def load_dialects(texts: Mapping[str, str]) -> tuple[Dialect, ...]:
    """Return the dialects in TOML texts, keyed by the names of their files, in the same order.

    Raises:
        DialectError: with all errors of all texts.
    """
    dialects: list[Dialect] = []
    errors: list[str] = []
    for file, text in texts.items():
        try:
            dialects.append(parse_dialect(tomllib.loads(text)))
        except tomllib.TOMLDecodeError as broken:
            errors.append(f"{file}: {broken}")
        except DialectError as refused:
            errors += [f"{file}: {error}" for error in refused.errors]
    names = [dialect.name for dialect in dialects]
    errors += [f"name: two dialects are called {name!r}" for name in sorted(set(names)) if names.count(name) > 1]
    if errors:
        raise DialectError(errors)
    return tuple(dialects)


def parse_dialect(data: Mapping[str, Any]) -> Dialect:
    """Return the dialect that a TOML document describes.

    Raises:
        DialectError: with all errors in it.
    """
    errors: list[str] = []
    table = Table(data, "", errors)
    quantities = tuple(table.listed("quantities", Quantity))
    dialect = Dialect(
        name=table.text("name"),
        version=table.text("version"),
        date=table.day("date"),
        fingerprint=_fingerprint(data),
        reports=tuple(_report_rule(entry) for entry in table.tables("report", required=True)),
        scans=tuple(_container_rule(entry) for entry in table.tables("scan", required=True)),
        places=tuple(_place_rule(entry) for entry in table.tables("place")),
        trends=tuple(_trend_rule(entry) for entry in table.tables("trend")),
        never=tuple(_never_rule(entry) for entry in table.tables("never")),
        region=_region_rule(table.table("region")),
        parts=tuple(_part_names(table.table("names"))),
        vertebrae=_vertebra_names(table.table("vertebrae")),
        sides=tuple(_side_names(table.table("sides"))),
        finding_sites=tuple(_finding_site(entry) for entry in table.tables("finding_site")),
        quantities=Lookup(quantities),
        facts=Lookup(table.listed("facts", Fact)),
        changes=Lookup(table.listed("changes", Since)),
        noted=Lookup((read_concept(entry), True) for entry in table.tables("noted")),
        units=tuple(table.table("units").lists()),
        units_when_absent=dict(_units_when_absent(table.table("units_when_absent"))),
        **_populations(table.table("populations")),
        date_order=table.one_of("date_order", DateOrder),
        manufacturers=tuple(table.table("manufacturers").lists()),
        device=_device_items(table.table("device")),
        phantom=_phantom_signs(table.table("phantom")),
    )
    table.finish()
    if not any(quantity is Quantity.BMD for _, quantity in quantities):
        errors.append("quantities.bmd: is missing; without it no report could be read")
    if not dialect.unit("g/cm2") and not dialect.unit("mg/cm2"):
        errors.append("units: neither g/cm2 nor mg/cm2 is among them; without one no BMD could be read")
    for quantity, unit in dialect.units_when_absent.items():
        if dialect.unit(unit) != unit:
            errors.append(f"units_when_absent.{quantity}: {unit!r} is none of the units")
    if errors:
        raise DialectError(errors)
    return dialect


def _fingerprint(data: Mapping[str, Any]) -> str:
    return blake2s(json.dumps(data, default=str).encode(), digest_size=8).hexdigest()


def _report_rule(table: Table) -> ReportRule:
    rule = ReportRule(
        root=table.concept("root"),
        contains=table.concept("contains"),
        manufacturer=table.text("manufacturer", required=False),
    )
    if rule.root is None and rule.contains is None:
        table.wrong("root", "needs a root, or something the root contains")
    return rule


def _container_rule(table: Table) -> ContainerRule:
    return ContainerRule(
        container=table.required_concept("container"),
        where=tuple(_conditions(table, "where")),
        site=table.one_of("site", Site),
        side=table.one_of("side", Side),
    )


def _never_rule(table: Table) -> NeverRule:
    return NeverRule(
        container=table.required_concept("container"),
        where=tuple(_conditions(table, "where")),
        because=table.text("because", required=False) or "no measurement of this exam",
    )


def _place_rule(table: Table) -> PlaceRule:
    site = table.one_of("site", Site)
    rule = PlaceRule(
        where=tuple(_conditions(table, "where", required=True)),
        site=site or Site.SPINE,
        side=table.one_of("side", Side),
    )
    if site is None:
        table.wrong("site", "is missing")
    return rule


def _trend_rule(table: Table) -> TrendRule:
    container = table.required_concept("container")
    entries = table.one_of("entries", NamedFor)
    rule = TrendRule(
        container=container,
        where=tuple(_conditions(table, "where")),
        site=table.one_of("site", Site),
        side=table.one_of("side", Side),
        entries=entries or NamedFor.DATE,
        date=table.concept("date"),
    )
    if entries is None:
        table.wrong("entries", "needs to be 'date' or 'region'")
    if rule.entries is NamedFor.DATE and not container.patterns:
        table.wrong("container", "needs a meaning with * where the region is named")
    return rule


def _conditions(table: Table, key: str, *, required: bool = False) -> Iterator[Condition]:
    for entry in table.tables(key, required=required):
        contains = entry.text_or_texts("contains")
        if not any(map(str.strip, contains)):
            entry.wrong("contains", "is missing")
        yield Condition(text=entry.required_concept("text"), contains=contains, anywhere=entry.flag("anywhere"))


def _region_rule(table: Table) -> RegionRule:
    rule = RegionRule(
        container=table.concept("container"),
        name=table.concept("name"),
        finding_site=table.concept("finding_site"),
        laterality=table.concept("laterality"),
        modifier=table.concept("modifier"),
        derivation=table.concept("derivation"),
        method=table.concept("method"),
        study=table.concept("study"),
        time_points=tuple(read_concept(entry) for entry in table.tables("time_point")),
    )
    table.finish()
    return rule


def _part_names(table: Table) -> Iterator[PartNames]:
    """Read ``[names.hip]`` and the other sites: for each part the vendor's names."""
    for site in Site:
        parts = table.table(site.value)
        for part, names in parts.lists():
            if SITE_OF_PART.get(part) is not site or part == SPINE:
                parts.wrong(part, f"is no part of the {site} we know")
            yield PartNames(site=site, part=part, names=names)
    table.finish()


def _vertebra_names(table: Table) -> VertebraNames:
    names = VertebraNames(words=table.texts("words"), brackets_exclude=table.flag("brackets_exclude"))
    table.finish()
    return names


def _side_names(table: Table) -> Iterator[SideNames]:
    for side in Side:
        names = table.table(side.value)
        yield SideNames(side=side, words=names.texts("words"), code=names.concept("code"))
        names.finish()
    table.finish()


def _finding_site(table: Table) -> FindingSite:
    part = table.text("part", required=False)
    vertebra = table.one_of("vertebra", _one_vertebra)
    site = table.one_of("site", Site) or SITE_OF_PART.get(part) or (Site.SPINE if vertebra else None)
    if part and SITE_OF_PART.get(part) is not site:
        table.wrong("part", f"{part!r} is no part we know of this site")
    if site is None:
        table.wrong("site", "needs a site, a part or a vertebra")
    return FindingSite(
        code=table.required_concept("code"),
        site=site or Site.SPINE,
        part=part,
        vertebrae=vertebra or (),
        modifier=table.concept("modifier"),
    )


def _one_vertebra(text: str) -> tuple[str, ...]:
    levels = parse_vertebrae(text)
    if len(levels) != 1:
        raise UnknownRegionError(f"{text!r} is more than one vertebra")
    return levels


def _units_when_absent(table: Table) -> Iterator[tuple[Quantity, str]]:
    for quantity in Quantity:
        unit = table.text(quantity.value, required=False)
        if unit:
            yield quantity, unit
    table.finish()


def _device_items(table: Table) -> DeviceItems:
    items = DeviceItems(
        manufacturer=table.concept("manufacturer"),
        model=table.concept("model"),
        serial_number=table.concept("serial_number"),
    )
    table.finish()
    return items


def _phantom_signs(table: Table) -> PhantomSigns:
    signs = PhantomSigns(
        patient_id=Concept(meanings=table.texts("patient_id")),
        patient_name=Concept(meanings=table.texts("patient_name")),
        texts=tuple(_conditions(table, "where")),
    )
    table.finish()
    return signs


def _populations(table: Table) -> dict[str, Concept]:
    """Read ``female`` and ``male``: the names of their reference populations."""
    populations = {sex: Concept(meanings=table.texts(sex)) for sex in ("female", "male")}
    table.finish()
    return populations
