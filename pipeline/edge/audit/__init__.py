"""The audit trail: events of this service, sealed, and sent as DICOM audit messages (PS3.15 A.5) over syslog."""
