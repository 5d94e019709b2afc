"""Work of operators: patient merges, releases, exam corrections, backup, housekeeping, and CSV tables."""
