"""Precision register: which of the records that persons have accepted counts on a day (R1.11, R1.12).

A record is an LSC or a cross-calibration. Those of the register and of the configuration files follow one rule. Of all
records of a scanner and region the one that begins last counts, until the next one begins; a record that was followed
does not come back. Of two that begin on one day the register's counts, and there the one accepted last. An entry of a
file that the register holds word for word is the register's: once it is withdrawn there, it counts no more.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from itertools import zip_longest
from typing import Generic, TypeVar

from pipeline.clinical.model import CrossCalibration, LeastSignificantChange
from pipeline.clinical.precision_study import TechnologistPrecision

Value = TypeVar("Value", LeastSignificantChange, CrossCalibration)

_ONE_DAY = timedelta(days=1)


class Standing(StrEnum):
    """What a person has decided about a record last."""

    PROPOSED = "proposed"
    """Nobody has decided yet: it counts nowhere."""
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    """It was accepted, and no longer counts for any day."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyFacts:
    """What a record does not say of its study: numbers in g/cm2, ``percent`` in %CV, and who, when and with what.

    ``upper_limit`` lies above the true precision error with 95 % certainty. ``begins`` and ``ends`` are the days of the
    scans if the table states them, ``software`` is the scanner's version at the time. ``reanalysed`` marks a set of
    vertebrae that was computed from the vertebrae of the study (R1.15). ``doubts`` should be checked by a person.
    """

    mean: Decimal
    precision_error: Decimal
    percent: Decimal
    degrees_of_freedom: int
    upper_limit: Decimal
    technologists: tuple[TechnologistPrecision, ...] = ()
    software: str = ""
    begins: date | None = None
    ends: date | None = None
    reanalysed: bool = False
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered(Generic[Value]):
    """A record of the register by its number, with its standing; ``decision`` orders what was decided."""

    number: int
    value: Value
    standing: Standing
    decision: int = 0

    @property
    def is_decided(self) -> bool:
        """Whether a person has accepted, declined or withdrawn it."""
        return self.standing is not Standing.PROPOSED


def counting_lscs(
    configured: Sequence[LeastSignificantChange], registered: Sequence[Registered[LeastSignificantChange]]
) -> tuple[LeastSignificantChange, ...]:
    """Return the LSCs that count, each with the days it counts for; no two of a scanner and region share a day."""
    return tuple(_clipped(_latest_of_each_day(configured, registered)))


def counting_cross_calibrations(
    configured: Sequence[CrossCalibration], registered: Sequence[Registered[CrossCalibration]]
) -> tuple[CrossCalibration, ...]:
    """Return the cross-calibrations that count, at most one for two scanners, a region and a first day."""
    return tuple(_latest_of_each_day(configured, registered))


def without_effect(configured: Sequence[Value], registered: Sequence[Registered[Value]]) -> tuple[Value, ...]:
    """Return the entries of a file that never count because the register has another record from the same day on."""
    kept = _outside_register(configured, registered)
    taken = {_key(one.value) for one in registered if one.standing is Standing.ACCEPTED}
    return tuple(entry for entry in kept if _key(entry) in taken)


def _latest_of_each_day(configured: Sequence[Value], registered: Sequence[Registered[Value]]) -> list[Value]:
    """Return one record for each scanner, region and first day, in this order."""
    in_order = sorted(registered, key=lambda one: one.decision)
    counting: dict[tuple[object, ...], Value] = {
        _key(entry): entry for entry in _outside_register(configured, registered)
    }
    for one in in_order:
        if one.standing is Standing.ACCEPTED:
            counting[_key(one.value)] = one.value
    return [counting[key] for key in sorted(counting, key=str)]


def _outside_register(configured: Iterable[Value], registered: Sequence[Registered[Value]]) -> list[Value]:
    held = [one.value for one in registered if one.is_decided]
    return [entry for entry in configured if entry not in held]


def _clipped(records: Sequence[LeastSignificantChange]) -> Iterator[LeastSignificantChange]:
    """Yield sorted records, each until the day before the next one of its scanner and region at the latest."""
    for record, following in zip_longest(records, records[1:]):
        if following is None or _key(following)[:-1] != _key(record)[:-1] or following.valid_from > record.valid_until:
            yield record
        else:
            yield replace(record, valid_until=following.valid_from - _ONE_DAY)


def _key(value: LeastSignificantChange | CrossCalibration) -> tuple[object, ...]:
    """Return what two records that exclude each other have in common: scanners, region, first day."""
    scanners = (value.scanner.key,) if isinstance(value, LeastSignificantChange) else (value.old.key, value.new.key)
    return (*scanners, value.region.key, value.valid_from.isoformat())
