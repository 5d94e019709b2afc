"""DICOM networking: the event-driven server, associations, the client, TLS, SOP classes, storage commitment."""
