"""An alarm is told once, reminded of, and told when it is over; a year of normal life sends little."""

import random
from datetime import UTC, date, datetime, timedelta

import pytest

from pipeline.edge.alarm_kinds import ALL, KINDS
from pipeline.edge.alarms.calendar import Calendar
from pipeline.edge.alarms.state_machine import SETTLE, Condition, News, Rules
from tests.factories.played_alarms import Played, Spells, day

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
UTC_RULES = Rules(calendar=Calendar(zone=UTC))
TUESDAY = day(3, 3, 10)


def played() -> Played:
    """A service that has been running for a while, on a Tuesday at ten."""
    made = Played(UTC_RULES)
    made.play(TUESDAY - HOUR, TUESDAY, lambda _: ())
    return made


def away(since: datetime = TUESDAY, subject: str = "pacs") -> Condition:
    return Condition(kind="destination_away", subject=subject, since=since)


def test_an_alarm_is_told_once_after_its_hold_off_and_once_when_it_is_over_with_how_long_it_lasted():
    made = played()
    made.play(TUESDAY, TUESDAY + 190 * MINUTE, lambda _: [away()])
    made.play(TUESDAY + 190 * MINUTE, TUESDAY + 5 * HOUR, lambda _: [])
    (raised_at, raised), (_, over) = made.messages
    assert raised_at == TUESDAY + 15 * MINUTE
    assert [line.news for line in (*raised, *over)] == [News.RAISED, News.OVER]
    assert over[0].alarm.gone_at == over[0].alarm.since + 190 * MINUTE
    assert made.open == ()


def test_what_is_mended_within_its_hold_off_is_never_told():
    made = played()
    made.play(TUESDAY, TUESDAY + 14 * MINUTE, lambda _: [away()])
    made.play(TUESDAY + 14 * MINUTE, TUESDAY + 2 * HOUR, lambda _: [])
    assert made.messages == []
    assert made.open == ()


def test_a_medium_alarm_of_the_night_is_told_in_the_morning_and_a_high_one_at_once():
    made = Played(UTC_RULES)
    night = day(3, 3, 20)
    made.play(night, day(3, 4, 9), lambda _: [away(night)])
    assert [at for at, _ in made.messages] == [day(3, 4, 6, 30)]
    made.play(day(3, 4, 22), day(3, 4, 23), lambda _: [away(night), Condition(kind="no_worker", since=night)])
    assert made.said()[-1] == [("raised", "no_worker")]


def test_a_medium_alarm_that_comes_and_goes_in_one_night_is_not_told():
    made = Played(UTC_RULES)
    night = day(3, 3, 20)
    made.play(night, day(3, 4, 9), Spells("destination_away", (night, 2 * HOUR), subject="pacs").at)
    assert made.messages == []


def test_an_open_alarm_is_reminded_of_every_morning_of_a_day_of_work():
    made = played()
    friday_to_tuesday = day(3, 6, 12)
    made.play(friday_to_tuesday, day(3, 10, 12), lambda _: [away(friday_to_tuesday)])
    mornings = [at for at, lines in made.messages if lines[0].news is News.REMINDER]
    assert mornings == [day(3, 9, 6, 30), day(3, 10, 6, 30)]


def test_a_high_alarm_is_reminded_of_on_a_day_off_as_well():
    made = played()
    made.play(day(3, 6, 12), day(3, 8, 12), lambda _: [Condition(kind="no_worker", since=day(3, 6, 12))])
    assert made.said() == [[("raised", "no_worker")], *[[("reminder", "no_worker")]] * 2]


def test_a_consequence_is_hidden_by_its_cause_and_told_only_if_it_outlasts_it():
    made = played()
    stuck = Condition(kind="delivery_stuck", subject="pacs", since=TUESDAY - 5 * HOUR)
    made.play(TUESDAY, TUESDAY + HOUR, lambda _: [away(), stuck])
    assert made.said() == [[("raised", "destination_away")]]
    made.play(TUESDAY + HOUR, TUESDAY + 2 * HOUR, lambda _: [stuck])
    assert made.said()[1:] == [[("over", "destination_away")], [("raised", "delivery_stuck")]]


def test_the_same_consequence_of_another_destination_is_told():
    made = played()
    stuck = Condition(kind="delivery_stuck", subject="other", since=TUESDAY - 5 * HOUR)
    made.play(TUESDAY, TUESDAY + HOUR, lambda _: [away(), stuck])
    assert [("raised", "delivery_stuck")] in made.said()


def test_what_comes_and_goes_is_told_as_that_once_and_then_neither_coming_nor_going():
    made = played()
    flapping = [(TUESDAY + n * HOUR, 30 * MINUTE) for n in range(7)]
    made.play(TUESDAY, TUESDAY + 7 * HOUR, Spells("destination_away", *flapping, subject="pacs").at)
    assert made.said() == [
        [("raised", "destination_away")],
        [("over", "destination_away")],
        [("flapping", "destination_away")],
    ]


def test_what_came_and_went_is_over_after_two_quiet_days():
    made = played()
    flapping = [(TUESDAY + n * HOUR, 30 * MINUTE) for n in range(7)]
    made.play(TUESDAY, TUESDAY + 4 * DAY, Spells("destination_away", *flapping, subject="pacs").at)
    at, last = made.messages[-1]
    assert [line.news for line in last] == [News.OVER]
    assert at == TUESDAY + 6 * HOUR + 30 * MINUTE + 2 * DAY


def test_what_is_shelved_is_not_told_and_told_once_the_shelf_ends():
    made = played()
    for minute in range(60):
        made.look(TUESDAY + minute * MINUTE, away(), shelved=[("destination_away", "pacs")])
    assert made.messages == []
    made.look(TUESDAY + HOUR, away())
    assert made.said() == [[("raised", "destination_away")]]


def test_what_ends_while_it_is_shelved_ends_in_silence():
    made = played()
    made.play(TUESDAY, TUESDAY + 20 * MINUTE, lambda _: [away()])
    for minute in range(20, 60):
        made.look(TUESDAY + minute * MINUTE, shelved=[("destination_away", "")])
    assert made.said() == [[("raised", "destination_away")]]
    assert made.open == ()


def test_a_low_alarm_is_told_in_the_morning_again_when_it_gets_worse_and_every_four_weeks():
    made = Played(UTC_RULES)
    last_day = day(6, 1)

    def ending(at: datetime) -> list[Condition]:
        left = last_day - at
        step = 1 if left <= 30 * DAY else 0
        return (
            [Condition(kind="lsc_ends", subject="x", since=last_day - 90 * DAY, step=step)] if left <= 90 * DAY else []
        )

    made.play(day(2, 25), day(5, 31), ending, every=10 * MINUTE)
    told = [(at.date(), lines[0].news) for at, lines in made.messages]
    assert told == [
        (date(2026, 3, 3), News.RAISED),
        (date(2026, 3, 31), News.REMINDER),
        (date(2026, 4, 28), News.REMINDER),
        (date(2026, 5, 4), News.WORSE),
    ]
    assert {at.time() for at, _ in made.messages} == {datetime(2026, 1, 1, 6, 30).time()}


def test_several_alarms_at_once_share_one_message():
    made = played()
    made.play(TUESDAY, TUESDAY + 30 * MINUTE, lambda _: [away(), away(subject="second"), away(subject="third")])
    assert made.said() == [[("raised", "destination_away")] * 3]


def test_alarms_soon_after_a_message_share_the_next_one_unless_one_is_high():
    made = played()
    first, second = away(), away(TUESDAY + 3 * MINUTE, "second")
    made.play(TUESDAY, TUESDAY + 20 * MINUTE, lambda at: [first] + [second] * (at >= second.since))
    assert len(made.messages) == 1
    made.look(TUESDAY + 20 * MINUTE, first, second, Condition(kind="no_room", since=TUESDAY + 20 * MINUTE))
    assert made.said()[-1] == [("raised", "destination_away"), ("raised", "no_room")]


def test_at_its_start_a_service_first_catches_up():
    """The listener was last seen yesterday because the service was stopped; it is not told the moment it starts."""
    made = played()
    yesterday = Condition(kind="no_listener", since=TUESDAY)
    made.play(TUESDAY, TUESDAY + 4 * MINUTE, lambda _: [yesterday])
    morning = TUESDAY + 20 * HOUR
    made.play(morning, morning + 4 * MINUTE, lambda _: [yesterday])
    assert made.messages == []
    made.play(morning + 4 * MINUTE, morning + 7 * MINUTE, lambda _: [yesterday])
    assert made.said() == [[("raised", "no_listener")]]


def test_held_work_is_told_a_day_of_work_later():
    made = played()
    friday = day(3, 6, 15)
    made.play(friday, day(3, 10), lambda _: [Condition(kind="held", since=friday)])
    assert [at for at, _ in made.messages] == [day(3, 9, 15) + SETTLE]


def test_a_kind_that_is_off_is_never_raised():
    made = Played(Rules(calendar=Calendar(zone=UTC), off=("destination_away",)))
    made.play(TUESDAY, TUESDAY + HOUR, lambda _: [away()])
    assert made.open == ()


def test_a_hold_off_of_the_department_counts():
    made = Played(Rules(calendar=Calendar(zone=UTC), hold_offs={"destination_away": 2 * MINUTE, "held": HOUR}))
    made.play(TUESDAY - HOUR, TUESDAY, lambda _: ())
    made.play(TUESDAY, TUESDAY + 30 * MINUTE, lambda _: [away(), Condition(kind="held", since=TUESDAY - HOUR)])
    assert made.messages[0][0] == TUESDAY + 2 * MINUTE
    assert made.said()[0] == [("raised", "destination_away"), ("raised", "held")]


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.name)
def test_what_hides_an_alarm_is_an_alarm_and_no_two_hide_each_other(kind):
    for name, _ in kind.hidden_by:
        assert kind.name not in [other for other, _ in KINDS[name].hidden_by]


def test_a_quiet_year_sends_fewer_than_52_messages():
    """What a department has in a normal year, and nobody hurries: restarts, hiccups, four outages of a PACS, held work
    left for days each month, wrong patients, an LSC and a certificate that end, a holiday, a missed phantom and backup.
    """
    dice = random.Random(2026)
    year = day(1, 1)

    def at(days: float, hour: float) -> datetime:
        return year + days * DAY + hour * HOUR

    nightly_restarts = [(at(7 * week + 6, 2), 30 * MINUTE) for week in range(52)]
    hiccups = [(at(dice.randrange(365), dice.uniform(7, 18)), dice.uniform(1, 12) * MINUTE) for _ in range(120)]
    outages = [(at(number, 9), dice.uniform(0.5, 6) * HOUR) for number in (40, 130, 220, 310)]
    held = [(at(number, 11), dice.uniform(1, 80) * HOUR) for number in range(3, 365, 30)]
    wrong_patient = [(at(number, 14), 3 * HOUR) for number in (60, 180, 290)]
    made = Played(UTC_RULES)
    life = (
        Spells("destination_away", *nightly_restarts, *hiccups, *outages, subject="pacs"),
        Spells("held", *held),
        Spells("held_wrong_patient", *wrong_patient),
        Spells("no_worker", *[(at(number, 5), 2 * MINUTE) for number in range(0, 365, 30)]),
        Spells("lsc_ends", (at(100, 0), 60 * DAY), subject="Prodigy"),
        Spells("certificate_ends", (at(200, 0), 10 * DAY), subject="listener.tls.certificate"),
        Spells("scanner_silent", (at(145, 18), 20 * HOUR), subject="Prodigy"),
        Spells("phantom_due", *[(at(number, 0), 9 * DAY) for number in (70, 250)], subject="Prodigy"),
        Spells("unknown_dialect", (at(210, 9), 5 * HOUR)),
        Spells("backup_old", (at(90, 0), 4 * DAY)),
    )
    made.play(year, year + 365 * DAY, lambda now: [one for part in life for one in part.at(now)], every=3 * MINUTE)
    print(len(made.messages), "messages in a quiet year")
    assert 10 < len(made.messages) < 52


@pytest.mark.parametrize("seed", range(3))
def test_a_bad_week_sends_fewer_than_20_messages(seed):
    """One PACS is away for days; the network comes and goes for two others, with every consequence."""
    dice = random.Random(seed)
    monday = day(3, 2)
    flaps: dict[str, list[tuple[datetime, timedelta]]] = {"second": [], "third": []}
    for stretches in flaps.values():
        now = monday + 8 * HOUR
        while now < monday + 6 * DAY:
            length = dice.uniform(1, 90) * MINUTE
            stretches.append((now, length))
            now += length + dice.uniform(1, 120) * MINUTE
    dead = (monday + DAY + 10 * HOUR, 4 * DAY)
    life = (
        Spells("destination_away", dead, subject="pacs"),
        Spells("delivery_stuck", dead, subject="pacs"),
        Spells("history_unanswered", dead, subject="pacs"),
        *(Spells("destination_away", *stretches, subject=name) for name, stretches in flaps.items()),
        *(Spells("delivery_stuck", (monday + 9 * HOUR, 6 * DAY), subject=name) for name in flaps),
        Spells("caller_rejected", (monday + 30 * HOUR, 30 * HOUR), subject="192.0.2.10"),
        Spells("scanner_silent", (monday + 3 * DAY, 2 * DAY), subject="Prodigy"),
        Spells("held", (monday - 3 * DAY, 9 * DAY)),
    )
    made = Played(UTC_RULES)
    made.play(monday, monday + 7 * DAY, lambda now: [one for part in life for one in part.at(now)])
    print(len(made.messages), "messages in a bad week")
    assert 5 < len(made.messages) < 20
