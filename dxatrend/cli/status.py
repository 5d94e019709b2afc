"""``dxatrend status``: what was received, waits, was delivered or is held, and what a person should correct."""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from dxatrend.cli import fitness_lines
from dxatrend.cli.output import SUCCESS, cell, print_json, print_table, today
from dxatrend.precision_reminders import reminders
from flows.prefect_disk_space import prefect_disk_reserve
from pipeline.clinical.model import Scanner
from pipeline.clinical.precision import running_out
from pipeline.edge.app import App, open_app
from pipeline.edge.configuration.reference_data import ReferenceData
from pipeline.edge.disk_space import DiskReserve, disk_reserve_of
from pipeline.edge.live_configuration import outdated
from pipeline.edge.overview import scanner_fitness
from pipeline.edge.overview.rejected_callers import CallerToAdmit, callers_to_admit
from pipeline.edge.overview.scanner_fitness import ScannerFitness
from pipeline.edge.store import service_status
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.senders import NewSender
from pipeline.edge.store.service_status import Status
from pipeline.edge.text_files import printable

MOST_NAMED = 5
"""How many of many late exams are named, the latest ones; ``status --json`` lists them all."""


def run(options: argparse.Namespace) -> int:
    """Print the status of the service as text or JSON."""
    with open_app(options.config, existing=True) as app:
        restart_needed = outdated(app)
        found = _status(app)
        service = app.settings.service
        with app.database.read() as connection:
            rejected = callers_to_admit(connection, service.listener, at=datetime.now(UTC))
        disks = {
            "the store": disk_reserve_of(app.database, service.store.reserve_mb),
            "Prefect": prefect_disk_reserve(service.prefect),
        }
        with app.database.read() as connection:
            reference_data = app.reference_in_force(connection).reference_data
        fitness = scanner_fitness.fitness_of_all(app, at=datetime.now(UTC))
    if options.json:
        quality = {"quality_control": [fitness_lines.as_json(one) for one in fitness]}
        print_json(_as_json(found, restart_needed, disks, reference_data, rejected) | quality)
        return SUCCESS
    for restart in restart_needed:
        print(restart)
    _print_counts(found)
    _print_disks(disks)
    _print_tables(found, fitness)
    if found.unidentified:
        _print_unidentified(found.unidentified)
    if found.respelt:
        _print_respelt(found.respelt)
    if found.new_senders:
        _print_new_senders(found.new_senders)
    if rejected:
        _print_rejected(rejected)
    for reminder in reminders(reference_data.clinical.lscs, today()):
        print(reminder)
    return SUCCESS


def _status(app: App) -> Status:
    destinations = app.settings.service.destination
    with app.database.read() as connection:
        return service_status.status(
            connection,
            [destination.name for destination in destinations],
            datetime.now(UTC),
            reference_data=app.reference_data,
            archives=[archive.name for archive in app.settings.service.archives],
        )


def _as_json(
    found: Status,
    restart_needed: Sequence[str],
    disks: Mapping[str, DiskReserve],
    reference_data: ReferenceData,
    rejected: Sequence[CallerToAdmit],
) -> dict[str, Any]:
    store, prefect = disks.values()
    return {
        "restart_needed": restart_needed,
        **dataclasses.asdict(found),
        "free_mb": {"store": store.free_mb(), "Prefect": prefect.free_mb()},
        "respelt": [dataclasses.asdict(one) | {"lines": one.lines} for one in found.respelt],
        "unidentified": [dataclasses.asdict(one) | {"lines": one.lines} for one in found.unidentified],
        "rejected_callers": [
            {**dataclasses.asdict(one.caller), "advice": one.advice, "lines": one.lines} for one in rejected
        ],
        "lscs_running_out": [
            {"scanner": str(lsc.scanner), "region": str(lsc.region), "valid_until": lsc.valid_until}
            for lsc in running_out(reference_data.clinical.lscs, today())
        ],
    }


def _print_counts(found: Status) -> None:
    print(f"received   {found.received} in the last 24 hours, {found.to_be_read} waiting to be read")
    print(f"exams      {found.exams_waiting} waiting to be followed up")
    print(f"held       {found.held} for a person to decide" + ("; see dxatrend held" if found.held else ""))
    if found.late:
        named = ", ".join(f"E{number}" for number in found.late[-MOST_NAMED:])
        print(
            f"late       {len(found.late)} received long after the exam date, last {named}; "
            "if the scanner's clock was right, dxatrend release E..."
        )


def _print_disks(disks: Mapping[str, DiskReserve]) -> None:
    for name, disk in disks.items():
        if (free := disk.free_mb()) is not None:
            short = f": nearly full, {disk.reserve_mb} MB are kept free" if disk.is_short() else ""
            print(f"disk       {free} MB free on the disk of {name}{short}")


def _print_tables(found: Status, fitness: Sequence[ScannerFitness]) -> None:
    quality = {one.scanner: one for one in fitness}
    print_table(
        ("scanner", "serial number", "last seen", "last phantom scan", "quality control"),
        [
            (
                f"{one.manufacturer} {one.model}",
                one.serial_number,
                one.last_seen_at,
                *_quality(quality.get(Scanner(one.manufacturer, one.model, one.serial_number))),
            )
            for one in found.scanners
        ],
    )
    print_table(
        ("destination", "delivered in 24 hours", "backlog", "oldest", "held", "away since", "next try", "last problem"),
        [
            (to.name, to.delivered, to.backlog, to.oldest, to.held, to.away_since, to.next_try, to.last_problem)
            for to in found.destinations
        ],
    )
    if found.history:
        print_table(
            ("history from", "last answer", "unanswered", "since", "next try", "last problem"),
            [
                (of.name, of.last_answer, of.unanswered, of.unanswered_since, of.next_try, of.last_problem)
                for of in found.history
            ],
        )


def _quality(one: ScannerFitness | None) -> tuple[str, str]:
    """Return when a scanner last scanned a phantom, and whether it is fit by it."""
    if one is None:
        return "", ""
    to_do = "; see dxatrend qc" if one.advice or one.unknown else ""
    return fitness_lines.phantom_age(one), f"{one.fitness.value}{to_do}"


def _print_unidentified(unidentified: Sequence[UnidentifiedScanner]) -> None:
    """Print what would identify scanners whose reports have no serial number: until then nothing is compared."""
    print("\nThe reports of these scanners have no serial number, so nothing they measure is compared. Read it off the")
    print("scanner and add it to scanners.toml:")
    for one in unidentified:
        print(f"\n# last seen {cell(one.last_seen_at)}", *one.lines, sep="\n")


def _print_respelt(respelt: Sequence[Respelt]) -> None:
    """Print what would make one scanner of two names for it: until then exams before and after are not compared."""
    print("\nThese names seem to belong to one scanner, spelt in two ways, perhaps since an upgrade. Exams under one")
    print("name are not compared with exams under the other. If you know that it is one scanner, add to scanners.toml:")
    for one in respelt:
        print(f"\n# {one.respelt}", *one.lines, sep="\n")


def _print_new_senders(new: Sequence[NewSender]) -> None:
    """Print callers that have sent reports of another caller's scanner: until confirmed, addenda mention it."""
    print("\nThese callers have sent reports of a scanner that others had sent before. If they may, confirm them:")
    print_table(
        ("scanner", "serial number", "sent by", "since", ""),
        [
            (
                f"{one.scanner.manufacturer} {one.scanner.model}",
                one.scanner.serial_number,
                one.sender,
                one.first_seen_at,
                f"dxatrend confirm {one.number}",
            )
            for one in new
        ],
    )


def _print_rejected(rejected: Sequence[CallerToAdmit]) -> None:
    """Print callers whose associations were rejected in the last days, and what would let them in."""
    print("\nThese callers were rejected in the last 30 days. If one of them may send:")
    for one in rejected:
        caller = one.caller
        print(
            f"\n# {printable(caller.calling_ae_title)!r} at {printable(caller.host)}, which called "
            f"{printable(caller.called_ae_title)!r}: {caller.times} times, last {cell(caller.last_at)}",
            f"# {one.advice}",
            *one.lines,
            sep="\n",
        )
