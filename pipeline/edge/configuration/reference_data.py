"""What has the department told us beyond the reports, in the words of the reports?"""

from dataclasses import asdict, dataclass, field, replace
from datetime import tzinfo

import pipeline
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.configuration.settings import Settings
from pipeline.sr.dialects.loader import Dialect, normal_manufacturer
from pipeline.sr.extract.scanner_alias import Alias, Spelling, as_spelt_here, in_every_spelling


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceData:
    """What the department has told us beyond the reports, with scanners named as their reports name them."""

    clinical: ClinicalReference
    """What comparison and interpretation rest on."""
    machines: tuple[Scanner, ...]
    aliases: tuple[Alias, ...]
    spellings: tuple[Spelling, ...]
    zone: tzinfo | None
    """In which the department lives; this machine's unless told."""
    reader_fingerprint: str
    """A digest of whatever a reading depends on: our version, the dialects, aliases, spellings, the time zone."""
    digest: str = field(init=False, repr=False, compare=False)
    """The same for the same LSCs, epochs and rules: the audit trail names by it what a comparison rested on."""

    def __post_init__(self) -> None:
        clinical = self.clinical
        of_scanners = (clinical.lscs, clinical.epochs, clinical.cross_calibrations, clinical.qc_gaps)
        names = (self.machines, self.aliases, self.spellings)
        digest = fingerprint_of(*of_scanners, asdict(clinical.rules), *names, self.zone, self.reader_fingerprint)
        object.__setattr__(self, "digest", digest)


def known(settings: Settings, dialects: tuple[Dialect, ...]) -> ReferenceData:
    """What the configuration tells, in the words of the reports that these dialects read."""
    spellings = tuple(
        Spelling(scanner=_as_read(one.scanner, dialects), told=_as_read(one.told, dialects))
        for one in settings.spellings
    )

    def named(scanner: Scanner) -> Scanner:
        return as_spelt_here(_as_read(scanner, dialects), spellings)

    return ReferenceData(
        clinical=ClinicalReference(
            lscs=tuple(replace(lsc, scanner=named(lsc.scanner)) for lsc in settings.lscs),
            epochs=tuple(replace(epoch, scanner=named(epoch.scanner)) for epoch in settings.epochs),
            cross_calibrations=tuple(
                replace(pair, old=named(pair.old), new=named(pair.new)) for pair in settings.cross_calibrations
            ),
            qc_gaps=tuple(replace(days, scanner=named(days.scanner)) for days in settings.qc_gaps),
            rules=settings.clinical_rules,
        ),
        machines=tuple(named(entry.scanner) for entry in settings.scanners.scanner),
        aliases=in_every_spelling(
            [replace(alias, scanner=named(alias.scanner)) for alias in settings.aliases], spellings
        ),
        spellings=spellings,
        zone=settings.service.exam.zone,
        reader_fingerprint=_reader_fingerprint(dialects, settings),
    )


def _as_read(scanner: Scanner, dialects: tuple[Dialect, ...]) -> Scanner:
    """A configured scanner under the manufacturer's name that its reports are read with."""
    return replace(scanner, manufacturer=normal_manufacturer(scanner.manufacturer, dialects))


def _reader_fingerprint(dialects: tuple[Dialect, ...], settings: Settings) -> str:
    content = [dialect.fingerprint for dialect in dialects]
    zone = settings.service.exam.time_zone
    return fingerprint_of(pipeline.__version__, content, settings.aliases, settings.spellings, zone)
