"""``dxatrend reprocess``: examine exams again whose inputs have changed, or print what would change."""

import argparse
import dataclasses
from collections.abc import Iterator, Sequence

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_json, print_table
from dxatrend.cli.store_access import open_store
from flows.shutdown import stop_on_signals
from pipeline.clinical.model import Patient
from pipeline.edge.app import App
from pipeline.edge.overview.difference_words import changed_values
from pipeline.edge.reprocess import on_demand
from pipeline.edge.reprocess.differences import differences
from pipeline.edge.reprocess.on_demand import ScopeNotFoundError
from pipeline.edge.store.reprocessing_results import Difference
from pipeline.edge.store.reprocessing_runs import Scope


def run(options: argparse.Namespace) -> int:
    """Reprocess the exams that the options name, all of them by default."""
    with open_store(options) as app:
        try:
            scope = _scope(app, options)
        except ScopeNotFoundError as unknown:
            print_errors(unknown)
            return FAILURE
        if options.dry_run:
            print_differences(list(differences(app, scope)), as_json=options.json)
            return SUCCESS
        done = on_demand.reprocess(app, scope, stop_on_signals().is_set)
    if options.json:
        print_json({"run": done.run, "finished": done.finished, **dataclasses.asdict(done.counts)})
        return SUCCESS
    counts = done.counts
    print(
        f"run {done.run}: {counts.examined} exams checked, {counts.issued} addenda superseded, "
        f"{counts.unchanged} examined again and unchanged, {counts.held} held"
    )
    if not done.finished:
        print("the run is not finished: it was stopped, or other workers have part of it; run the command again")
    return SUCCESS


def _scope(app: App, options: argparse.Namespace) -> Scope:
    patient = None
    if options.patient is not None:
        patient = Patient(patient_id=options.patient.strip(), issuer=options.issuer.strip())
    return on_demand.find_scope(app.database, patient=patient, serial_number=options.scanner, since=options.since)


def print_differences(found: Sequence[Difference], *, as_json: bool) -> None:
    """Print which addenda would be superseded, and in what they would differ.

    The table has no numbers of changes, as one within the LSC is no change; JSON has every coded value.
    """
    if as_json:
        print_json([dataclasses.asdict(difference) for difference in found])
        return
    print_table(
        ("exam", "because of", "region", "what", "before", "after"),
        [row for difference in found for row in _rows(difference)],
    )
    print(f"{len(found)} addenda would be superseded, or their exams held")


def _rows(difference: Difference) -> Iterator[tuple[str, ...]]:
    head = (f"E{difference.exam}", ", ".join(difference.changed_inputs))
    if difference.held:
        yield (*head, "", "held", "", difference.held)
        return
    before, after = difference.overall
    values = list(changed_values(difference))
    if before == after and not values:
        yield (*head, "", "only numbers or the wording", "", "")
    if before != after:
        yield (*head, "", "OVERALL", before, after)
    for one in values:
        yield (*head, one.region, one.name, one.before, one.after)
