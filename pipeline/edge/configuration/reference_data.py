"""What has the department told us beyond the reports, in the words of the reports?"""

from dataclasses import dataclass, field, replace
from datetime import tzinfo
from pathlib import Path

import pipeline
from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, Scanner, Unverified
from pipeline.clinical.rules import Rules
from pipeline.edge.configuration.fingerprint import short_digest
from pipeline.edge.configuration.settings import Settings
from pipeline.sr.dialects.loader import Dialect, normal_manufacturer
from pipeline.sr.extract.scanner_alias import Alias, Spelling, as_spelt_here, in_every_spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class Knowledge:
    """What the department has told us beyond the reports, with scanners named as their reports name them."""

    lscs: tuple[LeastSignificantChange, ...]
    epochs: tuple[Epoch, ...]
    crossings: tuple[CrossCalibration, ...]
    unverified: tuple[Unverified, ...]
    machines: tuple[Scanner, ...]
    aliases: tuple[Alias, ...]
    spellings: tuple[Spelling, ...]
    rules: Rules
    zone: tzinfo | None
    """In which the department lives; this machine's unless told."""
    edition: str
    """A digest of whatever a reading depends on: our version, the dialects, aliases, spellings, the time zone."""
    digest: str = field(init=False, repr=False, compare=False)
    """The same for the same LSCs, epochs and rules: the audit trail names by it what a comparison rested on."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "digest", short_digest(self))


def known(settings: Settings, dialects: tuple[Dialect, ...], folder: Path) -> Knowledge:
    """What the configuration tells; ``folder`` is where its dialects lie."""
    spellings = tuple(
        Spelling(scanner=_as_read(one.scanner, dialects), told=_as_read(one.told, dialects))
        for one in settings.spellings
    )

    def named(scanner: Scanner) -> Scanner:
        return as_spelt_here(_as_read(scanner, dialects), spellings)

    return Knowledge(
        lscs=tuple(replace(lsc, scanner=named(lsc.scanner)) for lsc in settings.lscs),
        epochs=tuple(replace(epoch, scanner=named(epoch.scanner)) for epoch in settings.epochs),
        crossings=tuple(replace(pair, old=named(pair.old), new=named(pair.new)) for pair in settings.crossings),
        unverified=tuple(replace(days, scanner=named(days.scanner)) for days in settings.unverified),
        machines=tuple(named(entry.scanner) for entry in settings.scanners.scanner),
        aliases=in_every_spelling(
            [replace(alias, scanner=named(alias.scanner)) for alias in settings.aliases], spellings
        ),
        spellings=spellings,
        rules=settings.clinical_rules,
        zone=settings.service.exam.zone,
        edition=_edition(folder, settings),
    )


def _as_read(scanner: Scanner, dialects: tuple[Dialect, ...]) -> Scanner:
    """A configured scanner under the manufacturer's name that its reports are read with."""
    return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))


def _edition(folder: Path, settings: Settings) -> str:
    texts = [path.read_bytes().hex() for path in sorted(folder.glob("*.toml"))]
    zone = settings.service.exam.time_zone
    return short_digest(pipeline.__version__, texts, settings.aliases, settings.spellings, zone)
