"""What is wrong with a file that a person wrote: where, and what is allowed there instead."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.redaction import redact

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys, and positions in lists."""


@dataclass(frozen=True, order=True)
class Problem:
    """One thing that is wrong. Line and column count from 1; 0 where the whole file is meant."""

    line: int
    column: int
    text: str = field(compare=False)

    def at(self, file: str) -> str:
        """The problem as compilers write it, so that editors and terminals link to it."""
        place = f"{file}:{self.line}:{self.column}" if self.line else file
        return f"{place}: {self.text}"


class FileError(ConfigurationError):
    """A file that can not be used, with everything that is wrong in it."""

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
    """A path as people write it: ``options.list_ids[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def did_you_mean(given: str, allowed: Sequence[str]) -> str:
    """A hint at the nearest of the allowed texts; blank where none is near."""
    near = difflib.get_close_matches(given.lower(), allowed, n=1, cutoff=0.6)
    return f"; did you mean {near[0]}?" if near else "."


def one_of(given: str, allowed: Sequence[str]) -> str:
    """The allowed texts, with a hint at the nearest."""
    return f"must be one of {', '.join(allowed)}{did_you_mean(given, allowed)}"
