"""Render templates to HTML: times in the department's zone, plain words for numbers, and no letter that misleads."""

import hashlib
import unicodedata
from datetime import UTC, date, datetime, tzinfo
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from pipeline import __version__

_FOLDER = Path(str(resources.files("dxatrend.desk")))
_TEMPLATES, STATIC = _FOLDER / "templates", _FOLDER / "static"

_UNITS = (
    (2, 365.25 * 86_400, "years"),
    (2, 365.25 * 7_200, "months"),
    (1, 86_400, "d"),
    (1, 3_600, "h"),
    (1, 60, "min"),
)
"""From how many of a unit on a time is told in it, its length in seconds, and its name."""

_DIRECTIONS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the direction of what follows them (UAX 9): a name must not turn the words around it."""


class Renderer:
    """Turns a template and its values into a page."""

    def __init__(self, zone: tzinfo | None) -> None:
        self._zone = zone
        self._environment = Environment(
            loader=FileSystemLoader(_TEMPLATES),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            finalize=without_direction_marks,
        )
        self._environment.filters |= {
            "moment": self.moment,
            "ago": self.ago,
            "day": day,
            "counted": counted,
            "size": size,
            "local_ago": self.local_ago,
            "with_code": with_code,
        }
        self._environment.globals |= {"asset": asset, "version": __version__, "zone_name": self.zone_name}

    def render(self, template: str, values: dict[str, Any]) -> str:
        """Return the page as text."""
        return self._environment.get_template(template).render(values)

    def local(self, moment: datetime) -> datetime:
        """Return a moment as the department's clocks show it."""
        return moment.astimezone(self._zone)

    def zone_name(self, now: datetime) -> str:
        """Return the name of the department's time zone."""
        return getattr(self._zone, "key", None) or self.local(now).tzname() or "local time"

    def moment(self, moment: datetime | None) -> str | Markup:
        """Return a moment as the department's clocks show it, such as 24 Nov 2026 08:55."""
        if moment is None:
            return "never"
        local = self.local(moment)
        return Markup('<time datetime="{}">{} {:%H:%M}</time>').format(local.isoformat(), day(local), local)

    def ago(self, moment: datetime | None, now: datetime | None = None) -> str | Markup:
        """Return how long ago a moment was, and when exactly, such as 3 h ago 08:55."""
        if moment is None:
            return "never"
        present = now or datetime.now(UTC)
        local, today = self.local(moment), self.local(present).date()
        if local.date() == today:
            exact = f"{local:%H:%M}"
        elif local.year == today.year:
            exact = f"{local.day} {local:%b %H:%M}"
        else:
            exact = f"{day(local)} {local:%H:%M}"
        return Markup('<time datetime="{}"><span class="ago">{}</span> <span class="exact">{}</span></time>').format(
            local.isoformat(), how_long_ago(moment, present), exact
        )

    def local_ago(self, moment: datetime, now: datetime) -> str | Markup:
        """Return how long ago a moment without a time zone was, as a scanner tells it by the department's clocks."""
        return self.ago(moment.replace(tzinfo=self._zone or self.local(now).tzinfo), now)


def how_long_ago(moment: datetime, now: datetime) -> str:
    """Return the time between a moment and now in its largest unit, such as 3 h ago, in 2 d or 2 years ago."""
    seconds = round((now - moment).total_seconds())
    for fewest, length, unit in _UNITS:
        count = int(abs(seconds) // length)
        if count >= fewest:
            return f"{count} {unit} ago" if seconds > 0 else f"in {count} {unit}"
    return "just now" if seconds >= 0 else "in a moment"


def day(value: date | None) -> str:
    """Return a day that nobody reads wrongly, such as 24 Nov 2026."""
    return "–" if value is None else f"{value.day} {value:%b %Y}"


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with its noun, such as 1 exam or 1,204 exams."""
    return f"{number:,} {one if number == 1 else several or one + 's'}"


def with_code(text: str) -> Markup:
    """Return a text in which names and commands between backticks are set as code."""
    parts = [escape(without_direction_marks(part)) for part in text.split("`")]
    return Markup("").join(Markup("<code>{}</code>").format(part) if at % 2 else part for at, part in enumerate(parts))


def size(number_of_bytes: int) -> str:
    """Return a number of bytes in the unit that suits it."""
    amount = float(number_of_bytes)
    for unit in ("bytes", "kB", "MB", "GB"):
        if amount < 1000:
            return f"{amount:.0f} {unit}" if unit == "bytes" or amount >= 100 else f"{amount:.1f} {unit}"
        amount /= 1000
    return f"{amount:.1f} TB"


def without_direction_marks(value: object) -> object:
    """Return text without control characters and marks of direction; everything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup) or (value.isascii() and value.isprintable()):
        return value
    return "".join("\ufffd" if _misleads(character) else character for character in value)


def asset(name: str) -> Markup:
    """Return the address of a file of ours, which changes with its content."""
    digest = hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]
    return escape(f"/static/{name}?v={digest}")


def _misleads(character: str) -> bool:
    return character in _DIRECTIONS or (unicodedata.category(character) == "Cc" and character not in "\n\t")
