"""The whole configuration of a department, checked on reading; any key can be overridden by an environment variable.

``DXATREND_<FILE>__<KEY>`` overrides a key, as ``DXATREND_SERVICE__LISTENER__PORT`` the port in ``service.toml``.
"""

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from pipeline.clinical.model import CrossCalibration, Epoch, LeastSignificantChange, QcGap, Scanner
from pipeline.clinical.rules import Rules
from pipeline.edge.configuration.precision_settings import PrecisionSettings
from pipeline.edge.configuration.rules_settings import RulesSettings
from pipeline.edge.configuration.scanner_settings import ScannersSettings
from pipeline.edge.configuration.service_settings import ServiceSettings
from pipeline.sr.dialects.concepts import Concept
from pipeline.sr.extract.known_phantoms import KnownPhantom
from pipeline.sr.extract.scanner_alias import Alias, Spelling

ENV_PREFIX = "DXATREND_"
ENV_DELIMITER = "__"


class Settings(BaseSettings):
    """The whole configuration; made by ``load_configuration``."""

    model_config = SettingsConfigDict(
        extra="forbid",
        frozen=True,
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        hide_input_in_errors=True,
    )

    service: ServiceSettings = ServiceSettings()
    scanners: ScannersSettings = ScannersSettings()
    precision: PrecisionSettings = PrecisionSettings()
    rules: RulesSettings = RulesSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let environment variables override the files; nothing else is read."""
        return env_settings, init_settings

    @property
    def clinical_rules(self) -> Rules:
        """The thresholds of ``rules.toml``."""
        return Rules(**self.rules.model_dump())

    @property
    def lscs(self) -> tuple[LeastSignificantChange, ...]:
        """The LSCs of ``precision.toml``, in g/cm²."""
        return tuple(entry.record for entry in self.precision.lsc)

    @property
    def aliases(self) -> tuple[Alias, ...]:
        """The names of scanners whose reports have no serial number."""
        return tuple(
            Alias(scanner=entry.scanner, **alias.model_dump())
            for entry in self.scanners.scanner
            for alias in entry.alias
        )

    @property
    def spellings(self) -> tuple[Spelling, ...]:
        """The other names of scanners in their reports."""
        return tuple(
            Spelling(
                scanner=entry.scanner,
                reported=Scanner(
                    spelling.manufacturer or entry.manufacturer,
                    spelling.model or entry.model,
                    spelling.serial_number or entry.serial_number,
                ),
            )
            for entry in self.scanners.scanner
            for spelling in entry.spelling
        )

    @property
    def cross_calibrations(self) -> tuple[CrossCalibration, ...]:
        """The cross-calibrations of ``scanners.toml``."""
        return tuple(entry.record for entry in self.scanners.cross_calibration)

    @property
    def phantoms(self) -> tuple[KnownPhantom, ...]:
        """The phantoms of ``scanners.toml``, with what they are recognised by."""
        return tuple(
            KnownPhantom(
                phantom=entry.record,
                patient_ids=Concept(meanings=entry.patient_id),
                patient_names=Concept(meanings=entry.patient_name),
            )
            for entry in self.scanners.phantom
        )

    @property
    def qc_gaps(self) -> tuple[QcGap, ...]:
        """The days without verified quality control, by scanner."""
        return tuple(
            QcGap(scanner=entry.scanner, begins=days.begins, ends=days.ends, reason=days.reason)
            for entry in self.scanners.scanner
            for days in entry.unverified
        )

    @property
    def epochs(self) -> tuple[Epoch, ...]:
        """The calibration epochs of ``scanners.toml``."""
        return tuple(
            Epoch(
                scanner=entry.scanner,
                begins=epoch.begins,
                reason=epoch.reason,
                cross_calibrated=epoch.cross_calibrated,
            )
            for entry in self.scanners.scanner
            for epoch in entry.epoch
        )


class FilesAlone(Settings):
    """The configuration without the environment."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        *others: PydanticBaseSettingsSource,
        **more: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read the files and nothing else."""
        return (init_settings,)
