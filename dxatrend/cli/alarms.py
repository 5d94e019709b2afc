"""``dxatrend alarms``: what is raised, what is shelved, and whether messages get out."""

import argparse
import dataclasses
from datetime import UTC, datetime, timedelta

from dxatrend.cli.output import FAILURE, SUCCESS, print_errors, print_json, print_table
from dxatrend.cli.store_access import open_store
from pipeline.edge.alarm_kinds import ALL
from pipeline.edge.alarms import listing, shelving, wording
from pipeline.edge.alarms.shelving import NotShelvedError
from pipeline.edge.alarms.watch import calendar_of
from pipeline.edge.alarms.ways_out import NotSentError, send_heartbeat, ways_out
from pipeline.edge.store import alarm_messages

RECENTLY = timedelta(days=7)


def run(options: argparse.Namespace) -> int:
    """Print the alarms that are raised, and those that have ended within a week."""
    if options.kinds:
        print_table(
            ("alarm", "priority", "what it says"),
            [(kind.name, kind.priority.value, kind.headline.format("…")) for kind in ALL],
        )
        return SUCCESS
    now = datetime.now(UTC)
    with open_store(options) as app, app.database.read() as connection:
        calendar = calendar_of(app.settings.service)
        raised = listing.raised(connection, at=now)
        over = listing.over(connection, since=now - RECENTLY)
        unwatched = listing.unwatched_since(connection, at=now)
        ways = alarm_messages.status(connection, tuple(ways_out(app.settings.service.alarms)))
    if options.json:
        print_json(
            {
                "raised": [dataclasses.asdict(one) for one in raised],
                "over": [dataclasses.asdict(one) for one in over],
                "unwatched_since": unwatched,
                "ways_out": [dataclasses.asdict(way) for way in ways],
            }
        )
        return SUCCESS
    if unwatched is not None:
        print(f"nobody has looked since {wording.moment(unwatched, calendar)}: neither a worker nor a monitor runs")
    if not raised:
        print("no alarm is raised")
    for one in raised:
        print(f"\n{one.priority.value}: {one.headline}" + (" (comes and goes)" if one.is_flapping else ""))
        print(f"  since {wording.moment(one.since, calendar)}  {one.detail}".rstrip())
        print(f"  {one.advice}\n  {one.command}    [{one.name}]")
        if one.shelf is not None:
            until = wording.moment(one.shelf.until, calendar)
            print(f"  shelved until {until} by {one.shelf.shelved_by}: {one.shelf.reason}")
    if over:
        print("\nover within the last week:")
        for one in over:
            lasted = wording.duration((one.ended_at or now) - one.since)
            print(f"  {wording.moment(one.ended_at or now, calendar)}  {one.headline}, after {lasted}")
    for way in ways:
        if way.problem:
            print(f"\n{way.way}: {way.waiting} messages wait: {way.problem}")
    return SUCCESS


def shelve(options: argparse.Namespace) -> int:
    """Hear nothing of an alarm until a day."""
    with open_store(options) as app:
        try:
            kind, subject = shelving.parse_name(options.alarm)
            shelving.shelve(
                app.database,
                kind,
                subject,
                until=options.until,
                reason=options.reason,
                calendar=calendar_of(app.settings.service),
                at=datetime.now(UTC),
            )
        except NotShelvedError as impossible:
            print_errors(impossible)
            return FAILURE
    print(f"{options.alarm} is shelved until the end of {options.until}")
    return SUCCESS


def unshelve(options: argparse.Namespace) -> int:
    """Hear of an alarm again."""
    with open_store(options) as app:
        try:
            kind, subject = shelving.parse_name(options.alarm)
        except NotShelvedError as unknown:
            print_errors(unknown)
            return FAILURE
        was_shelved = shelving.unshelve(app.database, kind, subject, at=datetime.now(UTC))
    print(f"{options.alarm} " + ("is told again" if was_shelved else "is not shelved"))
    return SUCCESS if was_shelved else FAILURE


def test(options: argparse.Namespace) -> int:
    """Send a test message by every way out, at once, and print what became of each."""
    with open_store(options) as app:
        service = app.settings.service
    settings, now = service.alarms, datetime.now(UTC)
    ways = ways_out(settings)
    if not ways and settings.heartbeat is None:
        print_errors("no way out is set: add [alarms.mail], [alarms.webhook] or [alarms.apprise] to service.toml")
        return FAILURE
    content = wording.test_content(now, settings, calendar_of(service))
    failed = 0
    for way, send in ways.items():
        try:
            send(content, f"dxatrend-test-{now:%Y%m%d%H%M%S}")
            print(f"{way}: sent")
        except NotSentError as problem:
            failed += 1
            print(f"{way}: {problem}")
    if settings.heartbeat is not None:
        try:
            send_heartbeat(settings.heartbeat)
            print("heartbeat: heard")
        except NotSentError as problem:
            failed += 1
            print(f"heartbeat: {problem}")
    return FAILURE if failed else SUCCESS
