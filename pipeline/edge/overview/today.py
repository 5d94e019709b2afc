"""Today: what runs, was received, waits, is held, was delivered and runs out, read in one go."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, tzinfo

from pipeline.edge.app import App
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.disk_space import DiskReserve, disk_reserve_of
from pipeline.edge.live_configuration import outdated
from pipeline.edge.overview import expiries
from pipeline.edge.overview.check_result import CheckResult
from pipeline.edge.overview.configuration_doubts import configuration_doubts
from pipeline.edge.overview.expiries import Backups, Expiry
from pipeline.edge.overview.parts import Part, parts
from pipeline.edge.overview.precision_doubts import missing_lscs, precision_doubts, precision_in_use, scanner_doubts
from pipeline.edge.overview.precision_register import StudyInDoubt, studies_in_doubt
from pipeline.edge.overview.rejected_callers import CallerToAdmit, callers_to_admit
from pipeline.edge.overview.scanner_fitness import ScannerFitness, fitness_of_all
from pipeline.edge.store import erased_objects, held_work, service_status
from pipeline.edge.store.held_work import HeldReason
from pipeline.edge.store.service_status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Disk:
    """The disk of one part of the service: megabytes that are free, and that are to stay free."""

    name: str
    free_mb: int
    reserve_mb: int

    @property
    def is_short(self) -> bool:
        """Whether less than the reserve is free."""
        return self.free_mb < self.reserve_mb


@dataclass(frozen=True, slots=True, kw_only=True)
class Today:
    """The state of the service at one moment; times are UTC, and ``zone`` is that of the department."""

    at: datetime
    zone: tzinfo | None
    reference_data: ReferenceData
    """The reference data that judges an exam of today."""
    parts: tuple[Part, ...]
    restart_needed: tuple[str, ...]
    status: Status
    held: tuple[HeldReason, ...]
    disks: tuple[Disk, ...]
    lscs: tuple[Expiry, ...]
    studies: tuple[StudyInDoubt, ...]
    certificates: tuple[Expiry, ...]
    backups: Backups
    erased: tuple[int, int]
    """How many patients, and how many exams of theirs, were erased so far."""
    rejected_callers: tuple[CallerToAdmit, ...]
    fitness: tuple[ScannerFitness, ...]
    doubts: tuple[CheckResult, ...]
    """What is wrong or doubtful in the configuration, apart from what runs out."""

    @property
    def day(self) -> date:
        """The department's day."""
        return self.at.astimezone(self.zone).date()


def today(app: App, *, at: datetime, other_disks: Mapping[str, DiskReserve] | None = None) -> Today:
    """Return the state of the service; ``other_disks`` are those beside the store's.

    Raises:
        StoreError: the database could not be queried.
    """
    service = app.settings.service
    zone = app.reference_data.zone
    day = at.astimezone(zone).date()
    disks = {"the store": disk_reserve_of(app.database, service.store.reserve_mb), **(other_disks or {})}
    with app.database.read() as connection:
        known = app.reference_in_force(connection).reference_data
        return Today(
            at=at,
            zone=zone,
            reference_data=known,
            parts=tuple(parts(connection, at=at)),
            restart_needed=tuple(outdated(app)),
            status=service_status.status(
                connection,
                [destination.name for destination in service.destination],
                at,
                reference_data=known,
                archives=[archive.name for archive in service.archives],
            ),
            held=tuple(held_work.by_reason(connection)),
            disks=tuple(_measured(disks)),
            lscs=tuple(expiries.lscs_running_out(known, day)),
            studies=tuple(studies_in_doubt(connection, known, on=day)),
            certificates=(
                *expiries.certificates_running_out(service, day),
                *expiries.certificates_of_callers_running_out(connection, service, day),
            ),
            backups=expiries.backups(connection),
            erased=erased_objects.erased_in_all(connection),
            rejected_callers=tuple(callers_to_admit(connection, service.listener, at=at)),
            fitness=tuple(fitness_of_all(app, at=at)),
            doubts=(
                *configuration_doubts(service, os.environ),
                *precision_doubts(precision_in_use(app, connection, known), on=day),
                *missing_lscs(connection, known, on=day),
                *scanner_doubts(connection, known),
            ),
        )


def _measured(disks: Mapping[str, DiskReserve]) -> list[Disk]:
    free = {name: disk.free_mb() for name, disk in disks.items()}
    return [
        Disk(name=name, free_mb=free_mb, reserve_mb=disks[name].reserve_mb)
        for name, free_mb in free.items()
        if free_mb is not None
    ]
