"""One line on an installation: a fact, or what a person should look at or correct."""

from dataclasses import dataclass
from enum import StrEnum


class Level(StrEnum):
    """What a result asks of the reader."""

    PROBLEM = "problem"
    """It must be corrected, or does not answer: the check as a whole fails."""
    ADVICE = "advice"
    """The service works, but a person should look at it."""
    FACT = "fact"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line on an installation; ``advice`` says what to do where ``what`` does not."""

    level: Level
    what: str
    advice: str = ""

    @property
    def text(self) -> str:
        """The whole line."""
        return f"{self.what}; {self.advice}" if self.advice else self.what
