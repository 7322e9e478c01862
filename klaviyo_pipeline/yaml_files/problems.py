"""Problems of a file that a person wrote: their position, and what is allowed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.similar import did_you_mean

Path = tuple[str | int, ...]
"""The path of a value in a document: keys, and positions in lists."""


@dataclass(frozen=True, order=True)
class Problem:
    """A problem. Line and column count from 1; 0 means the whole file."""

    line: int
    column: int
    text: str = field(compare=False)

    def at(self, file: str) -> str:
        """The problem in the format of compilers, so that editors and terminals link to it."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {self.text}"


class FileError(ConfigurationError):
    """The file cannot be used. The message lists all its problems."""

    def __init__(self, file: str, problems: Iterable[Problem]) -> None:
        self.file = file
        self.problems = sorted(replace(problem, text=redact(problem.text)) for problem in problems)
        super().__init__("\n".join(problem.at(file) for problem in self.problems))


@dataclass(frozen=True)
class Violation:
    """A violation at a path of a document, without its line. ``key``: the key is wrong, not its value."""

    path: Path
    text: str
    key: bool = False


def spell(path: Path) -> str:
    """The text of a path: ``options.list_ids[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def one_of(given: str, allowed: Sequence[str]) -> str:
    """The allowed texts, with a hint at the nearest."""
    return f"must be one of {', '.join(allowed)}{did_you_mean(given, allowed)}"
