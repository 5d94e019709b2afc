"""Counts of exams that were followed up, or examined again, by what became of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ExamCounts:
    """How many exams were issued an addendum, found unchanged, or held.

    ``examined`` counts those whose provenance reprocessing has compared, most of which need no examination.
    """

    examined: int = 0
    issued: int = 0
    unchanged: int = 0
    held: int = 0

    def __add__(self, other: "ExamCounts") -> "ExamCounts":
        return ExamCounts(
            self.examined + other.examined,
            self.issued + other.issued,
            self.unchanged + other.unchanged,
            self.held + other.held,
        )
