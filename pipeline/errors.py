"""The root of every exception that dxatrend raises on purpose: ``DxatrendError``.

Each error is defined beside what raises it; this is the tree::

    DxatrendError
    ├── pipeline.clinical   ContradictionError  ImpossibleContextError  ImpossibleMeasurementError
    │                       UnfitStudyError  UnknownRegionError
    ├── pipeline.sr         UnreadableReportError  DialectError  EncodingError  NoNumberError
    │                       UnusableEvidenceError  UnusableFontError
    ├── pipeline.messages   UnusableMessageError  UnwritableLetterError
    ├── pipeline.edge       SettingsError  OtherConfigurationError  TlsError  LoginError
    │   ├── store           StoreError  StoreInUseError  StoreMissingError  StoreTooNewError
    │   ├── dicom_net       AssociationRequestError  CommandSetError  CommitmentMessageError
    │   │                   CommitmentNotReportedError
    │   ├── peer_problems   PeerError
    │   │   │               ├── PeerUnavailableError  NoAnswerError
    │   │   └── deliver     └── DeliveryError
    │   │                       ├── DeliveryUnavailableError  DeliveryRefusedError
    │   │                       ├── UndeliverableError ── UnwritableError
    │   │                       └── DeliveryUnconfirmedError ── CommitmentAwaitedError
    │   ├── history         HistoryQueryError
    │   ├── extract         StoppedError  TimeLimitError
    │   ├── audit           SyslogUnreachableError
    │   └── operations      BackupError  CsvTableError  DamagedStoreError  FileLeftOutError
    │                       UnreadableTextError  AccountError  LogInRefusedError
    └── flows, dxatrend     UnusablePasswordError  NotFoundError
        └── desk            BodyTooLargeError  CannotServeError  NoRoleError
"""


class DxatrendError(Exception):
    """What went wrong is known and named; its text names no patient."""
