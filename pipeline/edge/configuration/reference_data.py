"""Reference data of a department: LSCs, calibration epochs, aliases and rules, with scanners named as reports do."""

from dataclasses import asdict, dataclass, field, replace
from datetime import tzinfo

import pipeline
from pipeline.clinical.clinical_reference import ClinicalReference
from pipeline.clinical.model import Scanner
from pipeline.edge.configuration.fingerprint import fingerprint_of
from pipeline.edge.configuration.settings import Settings
from pipeline.sr.dialects.model import Dialect, normal_scanner
from pipeline.sr.extract.known_phantoms import KnownPhantom
from pipeline.sr.extract.scanner_alias import Alias, Spelling, canonical_scanner, with_spellings


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceData:
    """What the configuration holds beyond the reports, with scanners named as their reports name them."""

    clinical: ClinicalReference
    """What comparison and interpretation rest on."""
    scanners: tuple[Scanner, ...]
    """The scanners of ``scanners.toml``."""
    aliases: tuple[Alias, ...]
    spellings: tuple[Spelling, ...]
    phantoms: tuple[KnownPhantom, ...]
    zone: tzinfo | None
    """The time zone of the department; ``None`` for this machine's."""
    reader_fingerprint: str
    """A fingerprint of what extraction depends on: our version, dialects, aliases, spellings, phantoms, time zone."""
    digest: str = field(init=False, repr=False, compare=False)
    """A fingerprint of all this, by which the audit trail names what a comparison rested on."""

    def __post_init__(self) -> None:
        clinical = self.clinical
        of_scanners = (clinical.lscs, clinical.epochs, clinical.cross_calibrations, clinical.qc_gaps)
        names = (self.scanners, self.aliases, self.spellings, self.phantoms)
        digest = fingerprint_of(*of_scanners, asdict(clinical.rules), *names, self.zone, self.reader_fingerprint)
        object.__setattr__(self, "digest", digest)


def reference_data_of(settings: Settings, dialects: tuple[Dialect, ...]) -> ReferenceData:
    """Return the reference data of a configuration, in the words of the reports that its dialects read."""
    spellings = tuple(
        Spelling(scanner=normal_scanner(one.scanner, dialects), reported=normal_scanner(one.reported, dialects))
        for one in settings.spellings
    )

    def named(scanner: Scanner) -> Scanner:
        return canonical_scanner(normal_scanner(scanner, dialects), spellings)

    return ReferenceData(
        clinical=ClinicalReference(
            lscs=tuple(replace(lsc, scanner=named(lsc.scanner)) for lsc in settings.lscs),
            epochs=tuple(replace(epoch, scanner=named(epoch.scanner)) for epoch in settings.epochs),
            cross_calibrations=tuple(
                replace(calibration, old=named(calibration.old), new=named(calibration.new))
                for calibration in settings.cross_calibrations
            ),
            qc_gaps=tuple(replace(days, scanner=named(days.scanner)) for days in settings.qc_gaps),
            rules=settings.clinical_rules,
        ),
        scanners=tuple(named(entry.scanner) for entry in settings.scanners.scanner),
        aliases=with_spellings([replace(alias, scanner=named(alias.scanner)) for alias in settings.aliases], spellings),
        spellings=spellings,
        phantoms=settings.phantoms,
        zone=settings.service.exam.zone,
        reader_fingerprint=_reader_fingerprint(dialects, settings),
    )


def _reader_fingerprint(dialects: tuple[Dialect, ...], settings: Settings) -> str:
    content = [dialect.fingerprint for dialect in dialects]
    zone = settings.service.exam.time_zone
    patterns = [(known.patient_ids, known.patient_names) for known in settings.phantoms]
    return fingerprint_of(pipeline.__version__, content, settings.aliases, settings.spellings, patterns, zone)
