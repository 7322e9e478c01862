"""The afternoon's loader: requests, pandas and DuckDB, by someone who knows them.

One session, one cursor, the largest page; `json_normalize` with the free-form properties kept as JSON text; every
20,000 rows an upsert (delete and insert by id) into a table with the frame's columns.
"""

from __future__ import annotations

import json
import time
from typing import Any

import duckdb
import pandas as pd
import requests

from benchmarks.loaders.job import REVISION, Job, given_job, report

FLUSH_ROWS = 20_000
FREE_FORM = {"events": "event_properties", "profiles": "properties"}


def load(job: Job) -> int:
    """Load a collection into a table of its name and answer the number of rows."""
    session = requests.Session()
    session.headers.update(
        {
            "Authorization": f"Klaviyo-API-Key {job.api_key}",
            "revision": REVISION,
            "Accept": "application/vnd.api+json",
        }
    )
    rows, waiting, frames = 0, 0, []
    url: str | None = f"{job.url}/api/{job.source}"
    parameters: dict[str, str | int] | None = job.parameters
    with duckdb.connect(job.database) as con:
        while url:
            response = session.get(url, params=parameters, timeout=60)
            response.raise_for_status()
            page = response.json()
            frames.append(frame_of(page["data"], FREE_FORM[job.source]))
            waiting += len(frames[-1])
            url, parameters = page["links"]["next"], None
            if waiting >= FLUSH_ROWS or not url:
                rows += upsert(con, job.source, pd.concat(frames, ignore_index=True))
                waiting, frames = 0, []
    return rows


def frame_of(items: list[dict[str, Any]], free_form: str) -> pd.DataFrame:
    """A page's rows: nested objects as columns, free-form ones as JSON text."""
    for item in items:
        attributes = item["attributes"]
        attributes[free_form] = json.dumps(attributes[free_form], ensure_ascii=False)
        item.pop("links", None)
        item["relationships"] = {
            name: value["data"]["id"] for name, value in item["relationships"].items() if value.get("data")
        }
    return pd.json_normalize(items, sep="_")


def upsert(con: duckdb.DuckDBPyConnection, table: str, frame: pd.DataFrame) -> int:
    """Replace the rows of the same ids."""
    if frame.empty:
        return 0
    con.register("frame", frame)
    con.execute("BEGIN")
    con.execute(f"CREATE TABLE IF NOT EXISTS {table} AS SELECT * FROM frame LIMIT 0")
    con.execute(f"DELETE FROM {table} WHERE id IN (SELECT id FROM frame)")
    con.execute(f"INSERT INTO {table} BY NAME SELECT * FROM frame")
    con.execute("COMMIT")
    con.unregister("frame")
    return len(frame)


if __name__ == "__main__":
    given = given_job()
    began = time.perf_counter()
    count = load(given)
    report(seconds=time.perf_counter() - began, rows=count, table=given.source)
