"""Shapes beside the states of scanners and alarms, the same on every page; ``ui.shape`` of the templates draws them."""

from pipeline.edge.alarm_kinds import Priority
from pipeline.edge.overview.scanner_fitness import Fitness

FITNESS = {
    Fitness.STOPPED: "bad",
    Fitness.REPEAT: "bad",
    Fitness.OVERDUE: "bad",
    Fitness.DUE: "look",
    Fitness.WARNING: "look",
    Fitness.UNKNOWN_PHANTOM: "look",
    Fitness.NO_LIMITS: "wait",
    Fitness.NO_PHANTOM: "none",
    Fitness.FIT: "good",
}
"""Of each fitness of a scanner, the worst first."""

ALARMS = {Priority.HIGH: "bad", Priority.MEDIUM: "look", Priority.LOW: "wait"}
"""Of each priority of an alarm."""
