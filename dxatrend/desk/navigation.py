"""The pages that the head of every page leads to, in one order."""

from dataclasses import dataclass

from pipeline.edge.configuration.desk_settings import Role


@dataclass(frozen=True, slots=True)
class Entry:
    """One link of the navigation, and who may follow it."""

    label: str
    path: str
    role: Role


LABELS = {
    "/": "Today",
    "/held": "Held",
    "/patients": "Patients",
    "/scanners": "Scanners",
    "/precision": "Precision",
    "/alarms": "Alarms",
    "/reprocessing": "Reprocessing",
    "/trail": "Trail",
    "/setup": "Set-up",
}
"""The label of each path; a path without a page is left out."""
