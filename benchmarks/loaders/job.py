"""What a loader is told, and what it tells back. Imports nothing heavy: it is part of every loader's start-up."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

REVISION = "2026-07-15"
REPORT_PREFIX = "REPORT "
PAGE_SIZES = {"events": 1000, "profiles": 100}
"""The largest that Klaviyo takes, for every loader."""
TIME_FIELDS = {"events": "datetime", "profiles": "updated"}
_OPERATORS = {"events": "greater-or-equal", "profiles": "greater-than"}


@dataclass(frozen=True)
class Job:
    """One load: where from, what, since when (ISO 8601, Z), and into which DuckDB file.

    ``options`` are the loader's own settings; ``page_size`` is the peers' other than the largest.
    """

    url: str
    api_key: str
    source: str
    since: str
    database: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def command_line(self) -> str:
        """The job as the loader's argument."""
        return json.dumps(asdict(self))

    @property
    def parameters(self) -> dict[str, str | int]:
        """The peers' query: the window in Klaviyo's filter grammar, in order of time, in the largest pages."""
        name = TIME_FIELDS[self.source]
        return {
            "filter": f"{_OPERATORS[self.source]}({name},{self.since})",
            "sort": name,
            "page[size]": self.options.get("page_size", PAGE_SIZES[self.source]),
        }


def given_job() -> Job:
    """The job on the command line."""
    return Job(**json.loads(sys.argv[1]))


def report(**numbers: object) -> None:
    """Tell the parent: ``seconds`` (imports excluded), ``table`` (as SQL knows it), and whatever else is of use."""
    print(REPORT_PREFIX + json.dumps(numbers), flush=True)
