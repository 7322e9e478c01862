"""Queries for the data checks, over the rows that a run has landed or over all rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from klaviyo_pipeline.klaviyo.catalogue.columns import EXTRA, Allowed, Column
from klaviyo_pipeline.warehouse.batch import Around
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.sql import literal, quote, quoted_list
from klaviyo_pipeline.warehouse.tables import DELETED_AT, RUN_ID, existing_columns, full_name

if TYPE_CHECKING:
    import duckdb

EXAMPLES = 5


@dataclass(frozen=True)
class LandedTable:
    """A table, and the rows to check.

    Attributes:
        con: A session that reads.
        name: The quoted full name; empty without a table.
        columns: Its columns.
        looked_at: The rows to check, in words.
        condition: The same in SQL, true for those rows.
        parameters: The condition's parameters.
        appended: Whether a load appended rows to it, so that keys may repeat.
        landed_until: The end of the newest landed window; None without one.
        extra: The result of ``kept_in_extra``, once it has run.
    """

    con: duckdb.DuckDBPyConnection
    name: str
    columns: frozenset[str]
    looked_at: str
    condition: str
    parameters: tuple[str, ...]
    appended: bool
    landed_until: datetime | None
    extra: list[tuple[dict[str, int], dict[str, int]]] = field(default_factory=list)

    @property
    def there(self) -> bool:
        """Whether the table exists."""
        return bool(self.name)

    def has(self, columns: Collection[str]) -> list[str]:
        """Those of the columns that the table has."""
        return [column for column in columns if column in self.columns]

    def query(self, text: str, more: Sequence[str] = ()) -> list[tuple[object, ...]]:
        """Rows of a query whose ``{name}`` is the table and whose ``{rows}`` is the condition, used once."""
        rows = self.con.execute(text.format(name=self.name, rows=f"({self.condition})"), [*self.parameters, *more])
        return rows.fetchall()


def landed_table(
    con: duckdb.DuckDBPyConnection,
    schema: str,
    table: str,
    *,
    ledger_name: str,
    run_id: str,
    partition_key: str | None,
) -> LandedTable:
    """A load's table, limited to the rows that a run has landed, if it landed less than the whole table.

    For a partitioned table these are the rows of the landed window, and all rows that the run wrote. If the run wrote
    to another table, it is that table.

    Args:
        con: A session that reads.
        schema: The table's schema.
        table: The table's name.
        ledger_name: The load's name in the ledger.
        run_id: The run that may have landed rows.
        partition_key: The time column by which the table is partitioned.
    """
    landed = _landed_by(con, f"{schema}.{table}", ledger_name, run_id, partition_key)
    if landed.by_run is not None:
        schema, _dot, table = landed.by_run.rpartition(".")
    columns = frozenset(column.name for column in existing_columns(con, schema, table))
    name = full_name(con, schema, table) if columns else ""
    found = partial(LandedTable, con, name, columns, appended=landed.appended, landed_until=landed.until)
    if landed.by_run is None or landed.whole or partition_key not in columns or RUN_ID not in columns:
        return found(looked_at="all rows", condition="true", parameters=())
    condition, parameters = f"{quote(RUN_ID)} = ?", [run_id]
    if landed.end is not None:
        key = quote(partition_key or "")
        condition += f" OR ({key} >= CAST(? AS TIMESTAMPTZ) AND {key} < CAST(? AS TIMESTAMPTZ))"
        parameters += [str(landed.start), landed.end]
    return found(looked_at="the rows that this run read", condition=condition, parameters=tuple(parameters))


class _Landed(NamedTuple):
    """From the ledger: a run's table and window, whether the load appends, and the end of its newest window."""

    by_run: str | None = None
    start: str | None = None
    end: str | None = None
    whole: bool = False
    appended: bool = False
    until: datetime | None = None


def _landed_by(
    con: duckdb.DuckDBPyConnection, place: str, ledger_name: str, run_id: str, partition_key: str | None
) -> _Landed:
    if not existing_columns(con, LEDGER.schema, LEDGER.name):
        return _Landed()
    ((by_run, start, end, whole, appended, until),) = con.execute(
        "WITH loads AS (SELECT *, run_id = $run AS of_run, filter_field IS NULL OR filter_field = $key AS about "
        f"FROM {full_name(con, LEDGER.schema, LEDGER.name)} WHERE kind = 'load' AND source = $source) SELECT "
        "max(table_name) FILTER (of_run), "
        "CAST(min(coalesce(window_start, '-infinity')) FILTER (of_run AND about) AS VARCHAR), "
        "CAST(max(window_end) FILTER (of_run AND about) AS VARCHAR), "
        "count(*) FILTER (of_run AND window_start IS NULL AND window_end IS NOT NULL AND filter_field IS NULL) > 0, "
        "count(*) FILTER (write_mode = 'append' AND (of_run OR table_name = $place)) > 0, "
        "epoch_us(max(window_end) FILTER (table_name = $place)) FROM loads",
        {"run": run_id, "key": partition_key, "source": ledger_name, "place": place},
    ).fetchall()
    ends = None if until is None else datetime.fromtimestamp(until // 1_000_000, UTC)
    return _Landed(by_run, start, end, whole, appended, ends)


@dataclass(frozen=True)
class KeyFindings:
    """Checked rows, rows without a key, and repeated keys with their number of rows."""

    rows: int
    without: int
    repeated: int
    surplus: int
    examples: tuple[str, ...]


def key_findings(table: LandedTable, key: Sequence[str], fixed_time: str | None = None) -> KeyFindings:
    """Missing and repeated keys.

    Args:
        table: The table. The keys of the checked rows are looked up in all of it.
        key: The columns of its key.
        fixed_time: A time that never changes for a key: keys are looked up only around the times of these rows.
    """
    columns = quoted_list(key)
    missing = " OR ".join(f"{quote(column)} IS NULL" for column in key)
    ((rows, without),) = table.query(f"SELECT count(*), count(*) FILTER ({missing}) FROM {{name}} WHERE {{rows}}")
    if table.condition == "true":
        # Hashes are narrow: 20 million keys of 18 characters take half the time, and a third of the spill.
        looked_up = f"hash({columns}) IN (SELECT hash({columns}) FROM {{name}} GROUP BY ALL HAVING count(*) > 1)"
        looked_up += " AND {rows}"
    else:
        looked_up = f"({columns}) IN (SELECT ({columns}) FROM {{name}} WHERE {{rows}}) AND {_around(table, fixed_time)}"
    repeated = table.query(
        f"SELECT count(*), coalesce(sum(n - 1), 0)::BIGINT, list(shown)[:{EXAMPLES}] FROM ("
        f"SELECT count(*) AS n, concat_ws(', ', {columns}) AS shown FROM {{name}} AS t WHERE {looked_up} "
        f"GROUP BY {columns} HAVING count(*) > 1 AND NOT ({missing}))"
    )
    ((keys, surplus, examples),) = repeated
    return KeyFindings(int(str(rows)), int(str(without)), int(str(keys)), int(str(surplus)), _texts(examples))


def _around(table: LandedTable, fixed_time: str | None) -> str:
    """The condition for rows ``t`` that may have a key of those looked at, by a time that is fixed for a key."""
    if fixed_time is None or fixed_time not in table.columns:
        return "true"
    (found,) = table.query(f"SELECT {Around.asked(quote(fixed_time))} FROM {{name}} WHERE {{rows}}")
    around = Around.of(fixed_time, *found)
    return around.condition() if around else "true"


def empty_values(table: LandedTable, columns: Sequence[str]) -> dict[str, int]:
    """The number of rows without a value, by column, for columns with such rows."""
    if not columns:
        return {}
    counts = ", ".join(f"count(*) FILTER ({quote(column)} IS NULL)" for column in columns)
    ((*found,),) = table.query(f"SELECT {counts} FROM {{name}} WHERE {{rows}}")
    return {column: int(str(count)) for column, count in zip(columns, found, strict=True) if count}


@dataclass(frozen=True)
class Orphans:
    """Rows that name another row, rows whose other row is missing, and some of the missing ids."""

    naming: int
    orphans: int
    ids: int
    examples: tuple[str, ...]


def orphans(table: LandedTable, column: str, schema: str, other: str) -> Orphans | None:
    """Rows whose ``column`` names an ``id`` that the other table lacks; None without that table.

    Leaves out rows that are marked as deleted.
    """
    if not existing_columns(table.con, schema, other):
        return None
    live = f"AND {DELETED_AT} IS NULL" if DELETED_AT in table.columns else ""
    others = full_name(table.con, schema, other)
    ((naming, lost, ids, examples),) = table.query(
        f"SELECT coalesce(sum(n), 0)::BIGINT, coalesce(sum(n) FILTER (lost), 0)::BIGINT, count(*) FILTER (lost), "
        f"(list(named) FILTER (lost))[:{EXAMPLES}] FROM ("
        f"SELECT named, n, NOT EXISTS (SELECT 1 FROM {others} o WHERE o.id = named) AS lost "
        f"FROM (SELECT {quote(column)} AS named, count(*) AS n FROM {{name}} "
        f"WHERE {{rows}} AND {quote(column)} IS NOT NULL {live} GROUP BY ALL))"
    )
    return Orphans(int(str(naming)), int(str(lost)), int(str(ids)), _texts(examples))


def undocumented_values(table: LandedTable, column: str, allowed: Allowed) -> dict[str, int]:
    """Values that Klaviyo's documentation does not have, and the number of their rows."""
    value = quote(column)
    if allowed.at is not None:
        value = f"json_extract_string({value}, {literal(allowed.at)})"
        value = f"unnest({value})" if allowed.at.endswith("[*]") else value
    known = ", ".join("?" for _ in allowed.values)
    found = table.query(
        f"SELECT value, count(*) FROM (SELECT {value} AS value FROM {{name}} WHERE {{rows}}) "
        f"WHERE value IS NOT NULL AND value NOT IN ({known}) GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 50",
        sorted(allowed.values),
    )
    return {str(value): int(str(count)) for value, count in found}


def kept_in_extra(table: LandedTable, columns: Sequence[Column]) -> tuple[dict[str, int], dict[str, int]]:
    """The content of ``_extra``, rows by attribute: attributes without a column, and values that did not fit.

    An attribute inside an object that has columns of its own is named ``object.attribute``.
    """
    if not table.extra:
        table.extra.append(_kept_in_extra(table, columns))
    return table.extra[0]


def _kept_in_extra(table: LandedTable, columns: Sequence[Column]) -> tuple[dict[str, int], dict[str, int]]:
    if EXTRA not in table.columns:
        return {}, {}
    known, objects = _known_in_extra(columns)
    unknown, misfits = Counter[str](), Counter[str]()
    keys = table.query(
        f"SELECT key, count(*) FROM (SELECT unnest(json_keys({EXTRA})) AS key FROM {{name}} "
        f"WHERE {EXTRA} IS NOT NULL AND {{rows}}) GROUP BY 1 ORDER BY 1"
    )
    for name, count in ((str(key), int(str(number))) for key, number in keys):
        if name not in objects:
            (misfits if name in known else unknown)[name] += count
            continue
        path = literal(f'$."{name}"')
        inner = table.query(
            f"SELECT key, count(*) FROM (SELECT CASE WHEN json_type({EXTRA}, {path}) = 'OBJECT' "
            f"THEN unnest(json_keys({EXTRA}, {path})) ELSE NULL END AS key FROM {{name}} "
            f"WHERE {EXTRA} IS NOT NULL AND {{rows}}) WHERE key IS NOT NULL GROUP BY 1 ORDER BY 1"
        )
        for key, number in inner:
            dotted = f"{name}.{key}"
            (misfits if dotted in known else unknown)[dotted] += int(str(number))
        whole = table.query(f"SELECT count(*) FROM {{name}} WHERE json_type({EXTRA}, {path}) <> 'OBJECT' AND {{rows}}")
        misfits[name] += int(str(whole[0][0]))
    return dict(unknown), {name: count for name, count in misfits.items() if count}


def _known_in_extra(columns: Sequence[Column]) -> tuple[set[str], set[str]]:
    """Names under which misfits are kept, and the objects that have columns of their own, of all revisions."""
    known = {column.name for column in columns}
    objects = set()
    for column in columns:
        for path in (column.path, *(path for _since, path in column.moved)):
            if path and path[0] == "attributes" and len(path) > 1:
                known.add(".".join(path[1:]))
                if len(path) > 2:
                    objects.add(path[1])
    return known, objects


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, list) else ()
