"""``dxatrend status``: what runs, was received, waits, was delivered or is held, and what a person should correct."""

import argparse
import dataclasses
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dxatrend.cli import fitness_lines, status_check
from dxatrend.cli.output import FAILURE, SUCCESS, cell, print_json, print_table, show_times_in
from flows.prefect_disk_space import prefect_disk_reserve
from pipeline.clinical.model import Scanner
from pipeline.clinical.precision import running_out
from pipeline.edge.app import open_app
from pipeline.edge.overview.configuration_doubts import certificate_doubts
from pipeline.edge.overview.expiries import Backups
from pipeline.edge.overview.parts import Part
from pipeline.edge.overview.precision_doubts import reminders
from pipeline.edge.overview.rejected_callers import CallerToAdmit
from pipeline.edge.overview.scanner_fitness import ScannerFitness
from pipeline.edge.overview.today import Disk, Today, today
from pipeline.edge.overview.troubles import troubles
from pipeline.edge.store.scanner_activity import PERIODS
from pipeline.edge.store.scanners import Respelt, UnidentifiedScanner
from pipeline.edge.store.senders import NewSender
from pipeline.edge.store.service_status import Status
from pipeline.edge.text_files import printable

MOST_NAMED = 5
"""How many of many late exams are named, the latest ones; ``status --json`` lists them all."""


def run(options: argparse.Namespace) -> int:
    """Print the status of the service as text or JSON, or as one line for a monitoring system."""
    if options.check:
        return status_check.run(options)
    with open_app(options.config, existing=True) as app:
        show_times_in(app.reference_data.zone)
        prefect = prefect_disk_reserve(app.settings.service.prefect)
        now = today(app, at=datetime.now(UTC), other_disks={"Prefect": prefect})
    status = FAILURE if options.strict and troubles(now) else SUCCESS
    if options.json:
        print_json(_as_json(now))
        return status
    for restart in now.restart_needed:
        print(restart)
    _print_doubts(now)
    _print_parts(now.parts)
    _print_counts(now.status)
    _print_disks(now.disks)
    _print_backups(now.backups)
    if now.erased[0]:
        print(f"erased     {now.erased[0]} patient ids with {now.erased[1]} exams so far")
    _print_tables(now.status, now.fitness)
    if now.status.unidentified:
        _print_unidentified(now.status.unidentified)
    if now.status.respelt:
        _print_respelt(now.status.respelt)
    if now.status.new_senders:
        _print_new_senders(now.status.new_senders)
    if now.rejected_callers:
        _print_rejected(now.rejected_callers)
    return status


def _as_json(now: Today) -> dict[str, Any]:
    found = now.status
    free_mb = {disk.name: disk.free_mb for disk in now.disks}
    return {
        "restart_needed": now.restart_needed,
        "parts": [dataclasses.asdict(one) | {"is_alive": one.is_alive} for one in now.parts],
        **dataclasses.asdict(found),
        "held_by_reason": {one.reason: one.count for one in now.held},
        "free_mb": {"store": free_mb.get("the store"), "Prefect": free_mb.get("Prefect")},
        "respelt": [dataclasses.asdict(one) | {"lines": one.lines} for one in found.respelt],
        "unidentified": [
            dataclasses.asdict(one) | {"lines": one.lines, "presumes": one.presumes} for one in found.unidentified
        ],
        "rejected_callers": [
            {**dataclasses.asdict(one.caller), "advice": one.advice, "lines": one.lines} for one in now.rejected_callers
        ],
        "lscs_running_out": [
            {"scanner": str(lsc.scanner), "region": str(lsc.region), "valid_until": lsc.valid_until}
            for lsc in running_out(now.reference_data.clinical.lscs, now.day)
        ],
        "doubts": [dataclasses.asdict(one) for one in now.doubts],
        "certificates_running_out": [dataclasses.asdict(one) for one in now.certificates],
        "last_backup": now.backups.last,
        "erased": {"patient_ids": now.erased[0], "exams": now.erased[1]},
        "backup_verified": now.backups.verified,
        "backup_failed": {"since": now.backups.failed, "problem": now.backups.problem} if now.backups.failed else None,
        "quality_control": [fitness_lines.as_json(one) for one in now.fitness],
    }


def _print_doubts(now: Today) -> None:
    """Print what is wrong or doubtful in the configuration, and what runs out."""
    for one in (*now.doubts, *certificate_doubts(now.certificates, on=now.day)):
        print(one.text)
    for reminder in reminders(now.reference_data.clinical.lscs, now.day):
        print(reminder)


def _print_parts(running: Sequence[Part]) -> None:
    """Print what runs, and first what does not run as it should."""
    print_table(
        ("part", "host", "is", "since", "last heartbeat", "why"),
        [(one.name, one.host, one.state, one.since, one.seen_at, one.reason) for one in running],
    )


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


def _print_disks(disks: Sequence[Disk]) -> None:
    for disk in disks:
        short = f": nearly full, {disk.reserve_mb} MB are kept free" if disk.is_short else ""
        print(f"disk       {disk.free_mb} MB free on the disk of {disk.name}{short}")


def _print_backups(backups: Backups) -> None:
    verified = f", last verified by a restore {cell(backups.verified)}" if backups.verified else ""
    print(f"backup     last {cell(backups.last) if backups.last else 'never'}{verified}")
    if backups.failed:
        print(f"           FAILED {cell(backups.failed)}: {printable(backups.problem)}")


def _print_tables(found: Status, fitness: Sequence[ScannerFitness]) -> None:
    quality = {one.scanner: one for one in fitness}
    print_table(
        (
            *("scanner", "serial number", "last seen", "last exam"),
            *(f"{days} d" for days in PERIODS),
            *("last phantom scan", "quality control"),
        ),
        [
            (
                f"{one.manufacturer} {one.model}",
                one.serial_number,
                one.last_seen_at,
                one.last_exam_at,
                *(one.exams_in_days[days] for days in PERIODS),
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
        presumes = [f"# {one.presumes}"] if one.presumes else []
        print(f"\n# last seen {cell(one.last_seen_at)}", *presumes, *one.lines, sep="\n")


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
