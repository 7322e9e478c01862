"""A large account made by SQL inside the product's own tables: millions of events in a minute, without a server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.tables import DELETED_AT_COLUMN, SYSTEM_COLUMNS, full_name, shape

if TYPE_CHECKING:
    import duckdb

    from klaviyo_pipeline.warehouse.database import Database

SCHEMA = "klaviyo"
ZONE = ZoneInfo("Europe/Copenhagen")
DAYS = 1000
FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_METRICS = ("Received Email", "Opened Email", "Clicked Email", "Viewed Product", "Placed Order", "Refunded Order")
_EVENT = """
SELECT
    printf('01E%023d', i) AS id,
    CASE WHEN dice < 45 THEN 'm0' WHEN dice < 65 THEN 'm1' WHEN dice < 70 THEN 'm2' WHEN dice < 96 THEN 'm3'
        WHEN dice < 99 THEN 'm4' ELSE 'm5' END AS metric_id,
    person(hash(i, 2) % {people}) AS profile_id,
    moment AS datetime,
    epoch(moment)::BIGINT AS timestamp,
    uuid()::VARCHAR AS uuid,
    json_object(
        '$message', printf('c%d-m', greatest({day} - (hash(i, 3) % 4 * (hash(i, 4) % 20))::BIGINT, 0)),
        '$value', (hash(i, 5) % 20000) / 100, 'OrderId', hash(i, 6) % ({events} // 20),
        'Subject', 'News of the week', 'URL', printf('https://shop.example/products/%d', hash(i, 7) % 5000)
    ) AS event_properties,
    CASE WHEN dice >= 96 AND dice < 99 THEN printf('c%d', {day}) END AS campaign_id,
    moment + INTERVAL 1 HOUR AS _loaded_at,
    printf('run-%d', {day}) AS _run_id
FROM (
    SELECT
        range AS i,
        hash(range, 1) % 100 AS dice,
        make_timestamptz(({start_us} + hash(range, 8) % 86400000000)::BIGINT) AS moment
    FROM range({low}, {high})
)
"""


def fill(database: Database, events: int) -> None:
    """Fill an empty database: so many events over ``DAYS`` days, a profile for each 20 of them, a campaign a day."""
    people = max(events // 20, 10)
    with database.writing() as con:
        for source in ("events", "metrics", "campaigns", "profiles", "lists", "list_profiles"):
            declared = table_of(SOURCES[source], SCHEMA, None, frozenset(SOURCES[source].option_names))
            shape(con, declared, (*declared.columns, *SYSTEM_COLUMNS, DELETED_AT_COLUMN))
        _name_people(con)
        for number, name in enumerate(_METRICS):
            con.execute(f"INSERT INTO {_table(con, 'metrics')} (id, name) VALUES (?, ?)", [f"m{number}", name])
        con.execute(
            f"INSERT INTO {_table(con, 'campaigns')} BY NAME SELECT printf('c%d', range) AS id, 'Sale' AS name, "
            f"'Sent' AS status, printf('c%d-m', range) AS message_id, "
            f"TIMESTAMPTZ '{FIRST_DAY}' + to_days(range::INTEGER) AS send_time FROM range({DAYS + 2})"
        )
        created = f"TIMESTAMPTZ '{FIRST_DAY}' + to_days((range % {DAYS})::INTEGER)"
        con.execute(
            f"INSERT INTO {_table(con, 'profiles')} BY NAME SELECT person(range) AS id, {created} AS created, "
            f"{created} AS _loaded_at FROM range({people})"
        )
        con.execute(f"INSERT INTO {_table(con, 'lists')} (id, name) VALUES ('l0', 'News')")
        con.execute(
            f"INSERT INTO {_table(con, 'list_profiles')} BY NAME SELECT person(range) AS id, 'l0' AS list_id, "
            f"person(range) AS profile_id, {created} AS joined_group_at FROM range({people})"
        )
        for day in range(DAYS):
            _add(con, events, day, events * day // DAYS, events * (day + 1) // DAYS)


def add_day(database: Database, events: int, number: int = 0) -> int:
    """Add one more day's events to a database filled with so many, and give how many they are."""
    low = events + events * number // DAYS
    high = events + events * (number + 1) // DAYS
    with database.writing() as con:
        _name_people(con)
        _add(con, events, DAYS + number, low, high)
    return high - low


def _add(con: duckdb.DuckDBPyConnection, events: int, day: int, low: int, high: int) -> None:
    start_us = int((FIRST_DAY + timedelta(days=day)).timestamp()) * 1_000_000
    rows = _EVENT.format(people=max(events // 20, 10), events=events, day=day, start_us=start_us, low=low, high=high)
    con.execute(f"INSERT INTO {_table(con, 'events')} BY NAME {rows}")


def _name_people(con: duckdb.DuckDBPyConnection) -> None:
    con.execute("CREATE TEMP MACRO person(number) AS '01H' || upper(substr(md5(number::VARCHAR), 1, 23))")


def _table(con: duckdb.DuckDBPyConnection, source: str) -> str:
    return full_name(con, SCHEMA, source)
