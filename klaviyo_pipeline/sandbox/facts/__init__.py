"""Facts about Klaviyo's API as tables: the parameters of each operation, and the fieldsets of each type, by revision.

`operations.csv` has a line for each operation and each revision that changed it; a line holds until the next
one of the same operation. `fieldsets.csv` does the same for the names that `fields[type]` takes. Source:
Klaviyo's OpenAPI documents 2025-01-15 and 2026-07-15 and the official SDK 25 for 2026-10-15. When a change
between the documents came is known from their history, or inferred.
"""

import csv
from collections.abc import Iterator
from pathlib import Path

_FOLDER = Path(__file__).parent


def lines(table: str) -> Iterator[dict[str, str]]:
    """The lines of a table, by column name."""
    with (_FOLDER / f"{table}.csv").open(newline="", encoding="utf-8") as file:
        yield from csv.DictReader(file)
