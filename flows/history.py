"""What a person can do about what is on file: examine again, bring in an archive, ask a PACS, merge patients."""

import argparse
import dataclasses
import json
import sys
from collections.abc import Iterator

from flows.stop import Stop
from flows.tables import print_table
from pipeline.edge import reprocess
from pipeline.edge.house import House
from pipeline.edge.reprocess import Difference
from pipeline.edge.store import machines, patients
from pipeline.edge.store.runs import Scope


class NobodyMeant(Exception):
    """What was typed names no patient or scanner on file."""


def reexamine(house: House, options: argparse.Namespace, stop: Stop) -> int:
    """Examine again whatever rests on something that has changed, or show what would differ; the exit status."""
    try:
        scope = _scope(house, options)
    except NobodyMeant as nobody:
        print(nobody, file=sys.stderr)
        return 1
    if options.dry_run:
        return _show_differences(list(reprocess.differences(house, scope)), as_json=options.json)
    run = reprocess.begin(house, scope)
    reprocess.take_part(house, run, keep_on=lambda: not stop.is_set())
    counts, finished = reprocess.standing(house, run)
    if options.json:
        print(json.dumps({"run": run, "finished": finished, **dataclasses.asdict(counts)}))
    else:
        print(
            f"run {run}: {counts.looked_at} exams looked at, {counts.issued} addenda superseded, "
            f"{counts.unchanged} examined again and unchanged, {counts.held} held"
        )
        if not finished:
            print("the run is not finished: other workers have part of it, or it was stopped; the same command goes on")
    return 0


def _scope(house: House, options: argparse.Namespace) -> Scope:
    with house.database.read() as connection:
        person = scanner = None
        if options.patient is not None:
            person = patients.person_of(connection, options.patient.strip(), (options.issuer or "").strip())
            if person is None:
                raise NobodyMeant("nothing is on file about this patient")
        if options.scanner is not None:
            found = machines.with_serial_number(connection, options.scanner)
            if len(found) != 1:
                raise NobodyMeant(f"{len(found)} scanners on file have the serial number {options.scanner}")
            (scanner,) = found
    return Scope(person=person, scanner=scanner, since=options.since)


def _show_differences(found: list[Difference], *, as_json: bool) -> int:
    if as_json:
        print(json.dumps([dataclasses.asdict(difference) for difference in found], indent=2))
        return 0
    print_table(
        ("exam", "because of", "region", "what", "before", "after"),
        [row for difference in found for row in _rows(difference)],
    )
    print(f"{len(found)} addenda would be superseded, or their exams held")
    return 0


def _rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    head = (f"E{difference.exam}", ", ".join(difference.shifts))
    if difference.held:
        yield (*head, "", "held", "", difference.held)
        return
    changes = {
        **({"": {"OVERALL": difference.overall}} if difference.overall[0] != difference.overall[1] else {}),
        **difference.regions,
    }
    if not changes:
        yield (*head, "", "sentences alone", "", "")
    for region, concepts in changes.items():
        for name, (before, after) in concepts.items():
            yield (*head, region, name, before, after)
