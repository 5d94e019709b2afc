"""A fingerprint is of field values: a class may be renamed, a field added with its default; a changed value tells."""

import dataclasses
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, QcGap, Scanner
from pipeline.clinical.regions import Region, parse_region
from pipeline.clinical.rules import Rules
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.sr.extract.scanner_alias import Alias, Spelling

SCANNER = Scanner("GE Healthcare", "Lunar Prodigy", "DF+1")
DAY = date(2020, 1, 1)
RECORDS = (
    LeastSignificantChange(
        scanner=SCANNER,
        region=parse_region("L1-L4"),
        lsc=Decimal("0.028"),
        valid_from=DAY,
        valid_until=date(2025, 1, 1),
        source="in vivo study",
        patients=30,
        repeats=2,
        same_day=False,
    ),
    Epoch(scanner=SCANNER, begins=DAY, reason="moved", cross_calibrated=False),
    CrossCalibration(
        old=SCANNER,
        new=Scanner("HOLOGIC", "Horizon A", "300"),
        region=parse_region("total hip left"),
        intercept=Decimal("0.012"),
        slope=Decimal("0.97"),
        residual_sd=Decimal("0.021"),
        precision_error_old=Decimal("0.009"),
        precision_error_new=Decimal("0.008"),
        patients=60,
        scans_on_new=2,
        valid_from=DAY,
        source="in vivo study",
    ),
    QcGap(scanner=SCANNER, begins=DAY, ends=date(2020, 2, 1), reason="phantom failed"),
    Alias(scanner=SCANNER, station_name="DXA1", institution="", begins=DAY),
    Spelling(scanner=SCANNER, reported=Scanner("GE", "Lunar Prodigy", "DF+1")),
)


def _other(value: Any) -> Any:
    """Another value of the same kind."""
    if isinstance(value, bool | None):
        return not value
    if isinstance(value, int | Decimal):
        return value + 1 if isinstance(value, int) else value / 2
    if isinstance(value, str):
        return f"{value} "
    if isinstance(value, date):
        return date(2023, 3, 3)
    if isinstance(value, Scanner):
        return Scanner("GE Healthcare", "iDXA", "ME+1")
    if isinstance(value, Region):
        return parse_region("L2-L4")
    assert isinstance(value, tuple), value
    return (*value, "more")


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: type(record).__name__)
def test_each_changed_value_of_reference_data_changes_the_fingerprint(record: Any) -> None:
    seen = {fingerprint_of(record)}
    names = [field.name for field in dataclasses.fields(record) if field.init]
    for name in names:
        seen.add(fingerprint_of(dataclasses.replace(record, **{name: _other(getattr(record, name))})))
    assert len(seen) == 1 + len(names)


def test_every_rule_counts_also_where_it_has_its_default() -> None:
    rules = dataclasses.asdict(Rules())
    seen = {fingerprint_of(rules)}
    for name, value in rules.items():
        seen.add(fingerprint_of(rules | {name: _other(value)}))
        seen.add(fingerprint_of({other: kept for other, kept in rules.items() if other != name}))
    assert len(seen) == 1 + 2 * len(rules)


def test_a_renamed_class_with_its_fields_in_another_order_and_one_more_has_the_same_fingerprint() -> None:
    fields: list[tuple[str, Any, Any]] = [("a", int, dataclasses.field()), ("b", date, dataclasses.field())]
    before = dataclasses.make_dataclass("Before", fields, kw_only=True)
    more = ("c", str | None, dataclasses.field(default=None))
    several: tuple[str, Any, Any] = ("d", tuple[str, ...], dataclasses.field(default_factory=tuple))
    derived = ("e", str, dataclasses.field(init=False, default="derived"))
    after = dataclasses.make_dataclass("After", [*reversed(fields), more, several, derived], kw_only=True)
    same = fingerprint_of(before(a=1, b=DAY))
    assert fingerprint_of(after(a=1, b=DAY)) == same
    assert fingerprint_of(after(a=1, b=DAY, c="")) != same
    assert fingerprint_of(after(a=1, b=DAY, d=("x",))) != same
    assert fingerprint_of(after(a=2, b=DAY)) != same


def test_a_fingerprint_is_the_same_on_any_day_and_any_machine() -> None:
    kind = dataclasses.make_dataclass("Kind", ["number", "zone"])
    value = kind(Decimal("0.0280"), ZoneInfo("Europe/Zurich"))
    assert fingerprint_of(value, [DAY, datetime(2026, 3, 2, tzinfo=UTC)], None, True, "é\udc80") == "3a7126518ef6eadb"


def test_nothing_is_made_a_fingerprint_of_whose_text_would_not_say_all_of_it() -> None:
    for value in ({1, 2}, object(), Scanner, b"bytes", float("nan")):
        with pytest.raises((TypeError, ValueError)):
            fingerprint_of(value)
