"""The columns whose values may be shown outside the tables: in Dagster's records, checks and alerts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from klaviyo_pipeline import environment

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.catalogue.model import Source


def may_be_shown(source: Source, column: str) -> bool:
    """Whether a column's values may be shown: it says nothing about a person, or the setting allows all columns.

    Only the environment decides, because everybody who reaches Dagster's UI can set run config.
    """
    return column in source.impersonal or environment.PREVIEW_COLUMNS.text.lower() == "all"


def shown_columns(source: Source, columns: Sequence[str]) -> list[str]:
    """Those of the columns that may be shown."""
    return [column for column in columns if may_be_shown(source, column)]


def hidden_note(source: Source, columns: Sequence[str]) -> str:
    """A note about hidden columns and the setting that shows them; blank if none is hidden."""
    count = len(columns) - len(shown_columns(source, columns))
    if not count:
        return ""
    return (
        f"{count} columns may hold personal data and are not shown. {environment.PREVIEW_COLUMNS.name}=all shows them."
    )
