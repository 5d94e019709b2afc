"""The root of every exception that dxatrend raises on purpose: ``DxatrendError``.

Each error is defined beside what raises it; this is the tree::

    DxatrendError
    ├── pipeline.clinical   ContradictionError  ImpossibleContextError  ImpossibleMeasurementError
    │   │                   UnfitStudyError
    │   └── regions         UnknownRegionError ── UnknownNameError (of a dialect)
    ├── pipeline.sr         DialectError  EncodingError  NoNumberError  NotAnonymousError
    │   │                   UnusableEvidenceError  UnusableFontError
    │   └── dicom, extract  UnreadableReportError
    │                       └── PhantomReportError  RejectionNoteError
    ├── pipeline.messages   UnusableMessageError  UnwritableLetterError
    ├── pipeline.edge       SettingsError  OtherConfigurationError  TlsError  LoginError  FileLeftOutError
    │   │                   UnreadableTextError  AlreadyRunningError
    │   ├── store           DamagedContentError  StoreError  StoreInUseError  StoreLockedError
    │   │                   StoreMissingError  StoreTooNewError
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
    │   ├── alarms          NotSentError  NotShelvedError  SecretError
    │   ├── reprocess       ScopeNotFoundError
    │   └── operations      AccountError  AnonymousFileError  BackupError  BackupFailedError  CsvTableError
    │                       DamagedStoreError  ExamNotFoundError  ExportError  LogInRefusedError
    │                       NotAPrintedNumberError  PatientMergeError  PatientNotErasedError
    │                       PatientNotFoundError  QualityRecordError  RegisterError  UnknownScannerError
    │                       UnusableRecordError  UpgradeError
    └── flows, dxatrend     NotRegisteredError  PrefectSilentError  UnsafeHomeError  UnusablePasswordError
        ├── service         CannotAnswerError  ServiceCannotStartError
        ├── init, demo      FirstConfigurationError  NoDemonstrationError
        └── desk            BodyTooLargeError  CannotServeError  DrawingError  NoRoleError
"""


class DxatrendError(Exception):
    """What went wrong is known and named; its text names no patient."""
