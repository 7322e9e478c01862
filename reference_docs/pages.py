"""The pages, by file name, and what makes each."""

from __future__ import annotations

from pathlib import Path

from reference_docs import (
    accounts_file,
    analytics,
    automation,
    commands,
    configuration,
    data_sources,
    errors,
    transfer_files,
)

FOLDER = Path(__file__).parents[1] / "docs" / "reference"
NOTE = "<!-- Written by `make docs` from the code. Do not edit: change the description where it is declared. -->\n\n"

WRITERS = {
    "configuration.md": configuration.page,
    "transfer-files.md": transfer_files.page,
    "accounts-file.md": accounts_file.page,
    "commands.md": commands.page,
    "data-sources.md": data_sources.page,
    "analytics.md": analytics.page,
    "automation.md": automation.page,
    "errors.md": errors.page,
}


def pages() -> dict[str, str]:
    """Every page's text.

    Raises:
        UndocumentedError: naming what has no description.
    """
    return {name: NOTE + write().strip() + "\n" for name, write in WRITERS.items()}
