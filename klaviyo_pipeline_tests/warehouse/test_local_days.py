"""Local days in SQL are those of Python's rules, whatever rules DuckDB has."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from importlib.resources import files
from zoneinfo import ZoneInfo

import duckdb
import pytest

from klaviyo_pipeline.warehouse.local_days import first_disagreement, local_day, local_time
from klaviyo_pipeline_tests.soaking import scaled

ZONES = [
    "UTC",
    "America/New_York",
    "America/Vancouver",
    "America/Edmonton",
    "America/Winnipeg",
    "America/Santiago",
    "America/St_Johns",
    "America/Havana",
    "Africa/Casablanca",
    "Africa/Cairo",
    "Asia/Beirut",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Atlantic/Azores",
    "Australia/Adelaide",
    "Australia/Lord_Howe",
    "Europe/Chisinau",
    "Pacific/Apia",
    "Pacific/Chatham",
]
START, END = datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def con() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as connection:
        connection.execute("SET TimeZone = 'UTC'")
        yield connection


def rules_of(name: str, key: str) -> ZoneInfo:
    """The rules of a zone under the name of another: what a system with other files would read."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=key)


def instants_of(zone: ZoneInfo) -> list[datetime]:
    """Instants around each change of the offset and around each midnight next to one, and some at random."""
    chance = random.Random(zone.key)
    found = [START + chance.random() * (END - START) for _ in range(scaled(200))]
    hours = [START + timedelta(hours=hour) for hour in range(int((END - START) / timedelta(hours=1)))]
    offsets = [hour.astimezone(zone).utcoffset() for hour in hours]
    for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False):
        if before != after:
            found += [hour + timedelta(minutes=30 * step, seconds=s) for step in range(-60, 61) for s in (-1, 0, 1)]
            found += [hour - timedelta(microseconds=1), hour + timedelta(microseconds=1)]
    return found


def days_by_sql(con: duckdb.DuckDBPyConnection, zone: ZoneInfo, instants: list[datetime]) -> list[date]:
    stored = [(instant - EPOCH) // timedelta(microseconds=1) for instant in instants]
    day = local_day(zone, "make_timestamptz(us)", START, END)
    rows = con.execute(
        f"SELECT {day} FROM (SELECT unnest(?::BIGINT[]) AS us, unnest(range(?)) AS n) ORDER BY n", [stored, len(stored)]
    )
    return [row[0] for row in rows.fetchall()]


@pytest.mark.soak
@pytest.mark.parametrize("name", ZONES)
def test_day_in_sql_is_the_day_in_python_near_every_change_of_clocks(con: duckdb.DuckDBPyConnection, name: str) -> None:
    zone = ZoneInfo(name)
    instants = instants_of(zone)
    assert days_by_sql(con, zone, instants) == [instant.astimezone(zone).date() for instant in instants]


def test_day_in_sql_follows_pythons_rules_where_duckdb_has_others(con: duckdb.DuckDBPyConnection) -> None:
    zone = rules_of("Asia/Tokyo", "America/Vancouver")
    instants = instants_of(zone)
    assert days_by_sql(con, zone, instants) == [instant.astimezone(zone).date() for instant in instants]


@pytest.mark.parametrize(
    "text", ["0001-01-01 00:00:00", "1969-12-31 23:59:59", "2099-07-01 00:00:00", "9999-12-31 23:59:59"]
)
@pytest.mark.parametrize("name", ["America/New_York", "Pacific/Apia"])
def test_time_far_from_klaviyos_years_has_a_day_too(con: duckdb.DuckDBPyConnection, name: str, text: str) -> None:
    instant = datetime.fromisoformat(text).replace(tzinfo=UTC)
    local = local_time(ZoneInfo(name), f"'{text}+00'::TIMESTAMPTZ", instant, instant)
    ((hours,),) = con.execute(f"SELECT (epoch_us({local}) - epoch_us('{text}+00'::TIMESTAMPTZ)) / 3.6e9").fetchall()
    assert -12 <= hours <= 14
    assert con.execute(f"SELECT {local_day(ZoneInfo(name), 'NULL::TIMESTAMPTZ', instant, instant)}").fetchall() == [
        (None,)
    ]


def test_engines_that_disagree_are_told_from_their_first_moment_on(con: duckdb.DuckDBPyConnection) -> None:
    zone = rules_of("Etc/GMT+8", "America/Vancouver")
    assert first_disagreement(con, zone, START, END) == datetime(2024, 3, 10, 10, tzinfo=UTC)
    unknown = rules_of("Asia/Tokyo", "Mars/Olympus")
    assert first_disagreement(con, unknown, START, END) == START
