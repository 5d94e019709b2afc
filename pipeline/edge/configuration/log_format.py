"""The form in which every process of this machine logs, by an environment variable."""

LOG_FORMAT_VARIABLE = "DXATREND_LOG_FORMAT"
"""The environment variable that names the form; ``--log-format`` sets it for the processes that a command starts."""

LOG_FORMATS = ("text", "json", "journal")
"""Lines for people, one JSON object a line, or entries with fields in systemd's journal."""
