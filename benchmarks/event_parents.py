"""event_profiles over millions of events: killed at half of its requests, its memory watched from outside.

The events are made by SQL in the product's own table; the profiles are read from a server that makes them.

    python -m benchmarks.event_parents --events 5000000
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import duckdb

from benchmarks.made_events import PROFILES, SINCE, UNTIL
from benchmarks.measure import Program, Run
from benchmarks.parts import asked, served
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.tables import SYSTEM_COLUMNS, shape

MOST_MB = 500
_LOAD = """
import logging, sys
logging.basicConfig(level=logging.INFO, stream=sys.stderr, format='%(asctime)s %(message)s')
from pathlib import Path
from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.klaviyo.client.client import KlaviyoClient
from klaviyo_pipeline.klaviyo.endpoints.account import Account
from klaviyo_pipeline.klaviyo.staging.stage import StagingArea
from klaviyo_pipeline.loads.destination import Place
from klaviyo_pipeline.loads.load import Load, run
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.warehouse.database import Database
from klaviyo_pipeline.warehouse.parent_rows import ParentRows
from klaviyo_pipeline.warehouse.reading import Selection
url, folder = sys.argv[1], Path(sys.argv[2])
source, database = SOURCES['event_profiles'], Database(folder / 'warehouse.duckdb')
columns = source.fan_out.parent_columns
load = Load(
    request=LoadRequest(source=source, options=source.choose(), partition_key='event_datetime'),
    place=Place(database=database, table=source.name),
    parents=ParentRows(database, Selection(database, 'klaviyo', 'events', columns), columns, source.fan_out.key),
)
account = Account('BENCHM', 'UTC', 'USD')
client = KlaviyoClient('pk_bench', base_url=url)
run(load, client, StagingArea(folder / 'staging'), log=logging.getLogger('load'), ask_account=lambda _client: account)
"""


def main() -> int:
    """Run it, and say what it came to; exit code 1 if a claim does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=5_000_000)
    given = parser.parse_args()
    profiles = min(PROFILES, given.events)
    whole = -(-profiles // 100)
    with tempfile.TemporaryDirectory(prefix="event_parents_") as name, served(given.events) as url:
        folder = Path(name)
        _make_events(folder, given.events)
        killed = _loaded(url, folder, kill_at=whole // 2)
        before = asked(url)
        done = _loaded(url, folder)
        rows = _rows(folder)
        again, peak_mb = asked(url) - before, max(killed.peak_mb, done.peak_mb)
        print(f"killed after {before:,} requests; then {again:,} requests, {done.cpu_s:.0f} s of CPU")
    claims = {
        f"memory under {MOST_MB} MB ({killed.peak_mb:.0f}, {done.peak_mb:.0f})": peak_mb < MOST_MB,
        f"at most 55 % of {whole:,} requests after the kill ({again:,})": again <= 0.55 * whole,
        f"every event once ({rows})": rows == (given.events, given.events, profiles),
    }
    for claim, holds in claims.items():
        print("yes" if holds else "NO ", claim)
    return 0 if all(claims.values()) else 1


def _make_events(folder: Path, events: int) -> None:
    """A table of events that name the profiles that the server has."""
    table = table_of(SOURCES["events"], "klaviyo")
    seconds = int((UNTIL - SINCE).total_seconds())
    with Database(folder / "warehouse.duckdb").writing() as con:
        shape(con, table, (*table.columns, *SYSTEM_COLUMNS))
        con.execute(
            f"INSERT INTO klaviyo.events (id, datetime, profile_id, metric_id, event_properties) "
            f"SELECT format('event{{:09d}}', i), TIMESTAMPTZ '{SINCE}' + to_seconds(i * {seconds} // {events}), "
            f"format('PROFILE{{:019d}}', i % {PROFILES}), 'METRIC', '{{\"page\":' || i || '}}' "
            f"FROM range({events}) AS r(i)"
        )


def _loaded(url: str, folder: Path, kill_at: int | None = None) -> Run:
    """A load, killed once so many requests were answered in all."""
    program = Program([sys.executable, "-c", _LOAD, url, str(folder)])
    while kill_at is not None and program.running():
        if asked(url) >= kill_at:
            program.kill()
            break
        time.sleep(0.05)
    return program.finish(check=kill_at is None)


def _rows(folder: Path) -> tuple[int, int, int]:
    with duckdb.connect(str(folder / "warehouse.duckdb"), read_only=True) as connection:
        query = "SELECT count(*), count(DISTINCT id), count(DISTINCT profile_id) FROM klaviyo.event_profiles"
        found: tuple[int, int, int] = connection.execute(query).fetchall()[0]
        return found


if __name__ == "__main__":
    sys.exit(main())
