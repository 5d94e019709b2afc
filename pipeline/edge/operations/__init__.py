"""Work of operators: backup, housekeeping, and CSV tables of clinical context and precision studies."""
