"""The audit trail of the service, told as DICOM audit messages (PS3.15 A.5) over syslog."""
