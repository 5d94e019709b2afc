"""Held: what waits for a person to decide, why, and what to do; release it or set it aside, one or many."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from itertools import groupby
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.responses import Response

from dxatrend.desk.rendering import counted, how_long_ago
from dxatrend.desk.routes import DeskRoute, action, page
from dxatrend.desk.visit import Visit, not_found
from pipeline.edge.configuration.desk_settings import Role
from pipeline.edge.operations import set_aside as aside
from pipeline.edge.operations.release import (
    NotAPrintedNumberError,
    PrintedNumber,
    latest_decision,
    parse_printed_number,
    release_held,
)
from pipeline.edge.overview import report_view
from pipeline.edge.overview.held_reasons import explanation
from pipeline.edge.store import exams, held_work
from pipeline.edge.store.audit_trail import Event
from pipeline.edge.store.held_work import HeldWork
from pipeline.edge.store.receipt_contents import DamagedContentError
from pipeline.edge.store.receipts import Receipt
from pipeline.edge.store.schema import exam, receipt

SHOWN = 200
"""How much is shown at most, the longest held first; a filter shows the rest."""

LONGEST_REASON = 500

KINDS = {
    "receipt": "report",
    "exam": "exam",
    "delivery": "delivery",
    "commitment_request": "storage commitment",
    "history_query": "question to an archive",
}
"""The words for each kind of held work."""

AGES = {"": "any time", "1": "more than a day", "7": "more than a week", "30": "more than a month"}


def show(visit: Visit) -> Response:
    """Show what is held by reason, each thing with what it means and what to do."""
    reason, origin, age = visit.text("reason"), visit.text("from"), visit.text("age")
    if age not in AGES:
        raise HTTPException(400)
    before = visit.now - timedelta(days=int(age)) if age else None
    with visit.app.database.read() as connection:
        reasons = held_work.by_reason(connection)
        found = held_work.held(
            connection, reason=reason or None, before=before, limit=_MOST_SEARCHED if origin else SHOWN + 1
        )
    origins = sorted({one for work in found for one in _origins(work)})
    found = [work for work in found if not origin or origin in _origins(work)]
    return visit.render(
        "held.html",
        title="Held",
        groups=_groups(found[:SHOWN]),
        total=sum(one.count for one in reasons),
        more=len(found) > SHOWN,
        shown=SHOWN,
        reasons=[("", "any reason"), *((one.reason, f"{one.reason} ({one.count})") for one in reasons)],
        origins=[("", "anywhere"), *((one, one) for one in origins)],
        ages=list(AGES.items()),
        chosen={"reason": reason, "from": origin, "age": age},
        is_filtered=bool(reason or origin or age),
        back=_address(visit),
        kinds=KINDS,
        longest=LONGEST_REASON,
        may_act=visit.may(Role.ACT),
    )


def show_set_aside(visit: Visit) -> Response:
    """Show what was set aside, by whom and why."""
    with visit.app.database.read() as connection:
        found = held_work.set_aside_work(connection, limit=SHOWN)
    return visit.render(
        "held_set_aside.html",
        title="Set aside",
        found=[(one, explanation(one.work.reason)) for one in found],
        kinds=KINDS,
        shown=SHOWN,
        may_act=visit.may(Role.ACT),
    )


def show_one(visit: Visit) -> Response:
    """Show one held thing, and to whoever may see patients its reports with what was used of them and what not."""
    number = _printed(visit.path["number"])
    with visit.app.database.read() as connection:
        found = held_work.held(connection, numbers=[str(number)])
        put_aside = [] if found else held_work.set_aside_work(connection, limit=1, numbers=[str(number)])
    work = found[0] if found else put_aside[0].work if put_aside else None
    if work is None:
        raise not_found()
    receipts, damaged = _receipts(visit, work) if visit.sees_patients else ([], [])
    if receipts:
        visit.viewed(**_about(number))
    return visit.render(
        "held_one.html",
        title=f"Held: {KINDS[work.what]} {work.number}",
        work=work,
        known=explanation(work.reason),
        put_aside=put_aside[0] if put_aside else None,
        reports=[(one, report_view.view(visit.app, one)) for one in receipts],
        damaged=damaged,
        longest=LONGEST_REASON,
        back="/held",
        may_act=visit.may(Role.ACT),
    )


def release(visit: Visit) -> Response:
    """Try what was ticked again."""
    return _decide(visit, lambda held: release_held(visit.app.database, held), "is tried again", "are tried again")


def set_aside(visit: Visit) -> Response:
    """Set what was ticked aside for a reason."""
    reason = visit.text("why", longest=LONGEST_REASON)
    if not reason:
        return visit.redirect(_back(visit), problem="Nothing was set aside: say why, so that others understand it.")
    return _decide(
        visit, lambda held: aside.set_aside(visit.app.database, held, reason), "is set aside", "are set aside"
    )


def take_back(visit: Visit) -> Response:
    """Let what was ticked wait for a decision again."""
    return _decide(visit, lambda held: aside.take_back(visit.app.database, held), *_AGAIN)


def _decide(visit: Visit, do: Callable[[PrintedNumber], bool], one_done: str, many_done: str) -> Response:
    """Do something with everything that was ticked, and tell what others have done with it meanwhile."""
    numbers = [*visit.texts("number"), *(one for reason in visit.texts("all") for one in visit.texts(f"of {reason}"))]
    ticked = [_printed(number) for number in dict.fromkeys(numbers)]
    if not ticked:
        return visit.redirect(_back(visit), problem="Nothing was changed: tick what you mean.")
    too_late = [held for held in ticked if not do(held)]
    told = [_too_late(visit, held) for held in too_late[:_MOST_TOLD]]
    if len(too_late) > _MOST_TOLD:
        told.append(f"So it is with {len(too_late) - _MOST_TOLD} more.")
    count = len(ticked) - len(too_late)
    if count:
        told.insert(0, f"{counted(count, 'thing')} {one_done if count == 1 else many_done}.")
    text = " ".join(told)
    return visit.redirect(_back(visit), problem=text) if too_late else visit.redirect(_back(visit), done=text)


def _too_late(visit: Visit, held: PrintedNumber) -> str:
    """Say plainly what has become of something that was ticked and no longer waits."""
    entry = latest_decision(visit.app.database, held, since=visit.now - timedelta(days=1))
    if entry is None:
        return f"{held} no longer waits for a decision: it went on by itself."
    undone = entry.detail.get("undo")
    words = "released" if entry.event is Event.RELEASED else "taken back" if undone else "set aside"
    when = how_long_ago(entry.at, visit.now)
    return f"{held} was {words} already, by {entry.actor} {when}. You have changed nothing."


def _receipts(visit: Visit, work: HeldWork) -> tuple[list[Receipt], list[str]]:
    """Return the received reports of a held receipt or exam, and in words those whose bytes are damaged or gone."""
    number = _printed(work.number)
    if number.queue is receipt:
        numbers = [number.number]
    elif number.queue is exam:
        with visit.app.database.read() as connection:
            (on_file,) = exams.load(connection, [number.number])
        numbers = [one for one, _ in (*on_file.reports, *on_file.rejected)]
    else:
        numbers = []
    found, damaged = [], []
    for one in numbers[:_MOST_REPORTS]:
        try:
            loaded = report_view.load(visit.app, one)
        except DamagedContentError as error:
            damaged.append(error.sentence)
            continue
        if loaded is not None:
            found.append(loaded)
    return found, damaged


def _about(number: PrintedNumber) -> dict[str, int]:
    return {number.queue.name: number.number}


def _groups(found: Iterable[HeldWork]) -> list[tuple[str, object, Sequence[HeldWork]]]:
    """Return held work by reason, each with its explanation, the reason of the longest held first."""
    works = list(found)
    first = {work.reason: position for position, work in reversed(list(enumerate(works)))}
    by_reason = groupby(sorted(works, key=lambda work: first[work.reason]), key=lambda work: work.reason)
    return [(reason, explanation(reason), list(group)) for reason, group in by_reason]


def _origins(work: HeldWork) -> set[str]:
    return {one for one in (work.scanner, work.sender, work.destination) if one}


def _printed(text: str) -> PrintedNumber:
    try:
        return parse_printed_number(text)
    except NotAPrintedNumberError:
        raise not_found() from None


def _address(visit: Visit) -> str:
    return f"/held?{urlencode(visit.query.multi_items())}" if visit.query else "/held"


def _back(visit: Visit) -> str:
    """Return the page of ours that the form was on."""
    path = visit.text("back", longest=1_000)
    return path if path == "/held" or path.startswith(("/held?", "/held/")) else "/held"


_AGAIN = ("waits for a decision again", "wait for a decision again")
_MOST_TOLD = 5
_MOST_SEARCHED = 5_000
_MOST_REPORTS = 20

ROUTES: tuple[DeskRoute, ...] = (
    page("/held", show, role=Role.LOOK),
    page("/held/set-aside", show_set_aside, role=Role.LOOK),
    page("/held/{number}", show_one, role=Role.LOOK),
    action("/held/release", release, role=Role.ACT),
    action("/held/set-aside", set_aside, role=Role.ACT),
    action("/held/take-back", take_back, role=Role.ACT),
)
