"""Refuses a landing that would remove too many rows, until a person consents.

An outage can look like an empty collection. The check compares the rows in scope that are not marked deleted with those
of them that the read lacks. It is a grouped count and reads no wide column.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from klaviyo_pipeline.warehouse.batch import Among, AmongParents, Range
from klaviyo_pipeline.warehouse.deciding import found_in, found_spans
from klaviyo_pipeline.warehouse.errors import ShrinkError
from klaviyo_pipeline.warehouse.sql import quote
from klaviyo_pipeline.warehouse.tables import DELETED_AT
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from klaviyo_pipeline.warehouse.batch import Job

SHARE, ROWS = 0.2, 10
_NAMED = 5


@dataclass(frozen=True)
class ShrinkLimits:
    """How many rows a landing may remove without consent.

    All rows of the scope are always too many. Otherwise more than ``rows`` and more than ``share`` of the rows are too
    many. For each value of ``by``, more than ``rows`` of its rows are too many if they are all of them or more than
    ``share``.

    Attributes:
        share: From 0 to 1.
        rows: 0 or more.
        by: The column whose values are checked separately, such as a list's id.
        known_gone: Values of ``by`` that the source has deleted. Their rows do not count.
        counted: The column that must be above zero for a row to count; None if every row counts.
    """

    share: float = SHARE
    rows: int = ROWS
    by: str | None = None
    known_gone: tuple[str, ...] = ()
    counted: str | None = None

    def refuses(self, before: int, gone: int, *, whole: bool) -> bool:
        """Whether so many rows gone, of so many before, are too many; ``whole`` for all of the scope."""
        if gone == before:
            return gone > 0 and (whole or gone > self.rows)
        return gone > self.rows and gone > self.share * before


def check(
    job: Job, limits: ShrinkLimits, scope: Sequence[Range | Among | AmongParents], mode: WriteMode, brought: int
) -> None:
    """Refuse the landing if it would remove too many rows. Nothing has been written yet.

    Args:
        job: The landing; the table's rows that have a key of the batch are found.
        limits: The limits.
        scope: The rows that the read covers in full; empty for the whole table.
        mode: The write mode.
        brought: The number of rows of the read.

    Raises:
        ShrinkError: with the rows before and now, and the scope.
    """
    found = _counts(job, limits, scope)
    before, gone = sum(each[1] for each in found), sum(each[2] for each in found)
    wrong = [each for each in found if limits.by and limits.refuses(each[1], each[2], whole=False)]
    if not (wrong or limits.refuses(before, gone, whole=True)):
        return
    does = "mark as deleted" if mode is WriteMode.MERGE else "clear"
    where = " and ".join(each.described() for each in scope) or "the whole table"
    parts = [f"{limits.by} {value}: {lost:,} of {had:,}" for value, had, lost in wrong[:_NAMED]]
    named = f" ({'; '.join(parts)}" if parts else ""
    more = f" and {len(wrong) - _NAMED:,} more" if len(wrong) > _NAMED else ""
    raise ShrinkError(
        f"{job.plain_name}: this read ({where}) has {brought:,} rows, and landing it would {does} {gone:,} of the "
        f"{before:,} rows that are here{named}{more}{')' if parts else ''}. An outage at the source can "
        "look like that, so nothing was changed. Run it again later. If the rows are really gone, consent: "
        "accept_shrink: true in the run config, or --accept-shrink on the command line. The limits are all rows, or "
        f"more than {limits.rows:,} that are more than {limits.share:.0%} (KLAVIYO_SHRINK_ROWS, KLAVIYO_SHRINK_SHARE)."
    )


def _counts(
    job: Job, limits: ShrinkLimits, scope: Sequence[Range | Among | AmongParents]
) -> list[tuple[str | None, int, int]]:
    """For each value of ``by``: the value, its living rows in scope, and those of them that the read does not have."""
    there = {column.name for column in job.columns}
    value = f"CAST(t.{quote(limits.by)} AS VARCHAR)" if limits.by in there else "NULL"
    conditions = [f"t.{DELETED_AT} IS NULL"] if DELETED_AT in there else []
    parameters: list[Any] = []
    for each in scope:
        sql, bound = each.condition("t.")
        conditions.append(sql)
        parameters += bound
    if limits.counted in there:
        conditions.append(f"t.{quote(limits.counted)} > 0")
    if limits.by in there and limits.known_gone:
        conditions.append(f"NOT coalesce(list_contains(?, {value}), false)")
        parameters.append(list(limits.known_gone))
    had, lost = Counter[str | None](), Counter[str | None]()
    for part in found_spans(job):
        found = job.con.execute(
            f"SELECT {value} AS value, count(*), count(*) FILTER (WHERE f.seq IS NULL) FROM {job.target} AS t "
            f"LEFT JOIN {found_in(part)} AS f ON t.rowid = f.place "
            f"WHERE {' AND '.join([part.condition('t.rowid'), *conditions])} GROUP BY ALL",
            parameters,
        )
        for name, rows, gone in found.fetchall():
            had[name] += rows
            lost[name] += gone
    order = sorted(had, key=lambda name: (-lost[name], name is None, name or ""))
    return [(name, had[name], lost[name]) for name in order]
