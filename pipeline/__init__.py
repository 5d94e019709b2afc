"""dxatrend: receive, store, extract, match, compare, interpret, author, deliver.

Three rings, imports only inward: ``clinical`` knows densitometry, ``sr`` knows DICOM structured
reports in memory, ``edge`` knows sockets, database, settings and the clock.
"""

__version__ = "0.1.0"
