"""The least that a load can cost: bytes over plain sockets, and rows through one `INSERT … SELECT`.

Options: ``step`` is `download` or `load`; ``connections``; ``files``, the staged files to load.
"""

from __future__ import annotations

import http.client
import json
import queue
import re
import threading
import time
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from urllib.parse import quote, urlencode, urlsplit

from benchmarks.loaders.job import PAGE_SIZES, REVISION, TIME_FIELDS, Job, given_job, report

_NEXT = re.compile(rb'"next":"([^"]+)"')


def slices_of(job: Job) -> list[str]:
    """The first request of each slice: as many slices as pages, each as full as a page, cut by the sandbox's truth."""
    with urllib.request.urlopen(f"{job.url}/sandbox/truth/{job.source}", timeout=600) as answer:
        name = TIME_FIELDS[job.source]
        times = sorted(datetime.fromisoformat(row[name]) for row in json.load(answer))
    size = PAGE_SIZES[job.source]
    edges = sorted({times[0], *times[size * 9 // 10 :: size * 9 // 10], times[-1] + timedelta(seconds=1)})
    operators = ("greater-or-equal", "less-than") if job.source == "events" else ("greater-than", "less-than")
    back = timedelta(seconds=1) if job.source == "profiles" else timedelta()
    targets = []
    for start, end in pairwise(edges):
        low, high = (each.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") for each in (start - back, end))
        conditions = f"{operators[0]}({name},{low}),{operators[1]}({name},{high})"
        query = {"filter": conditions, "sort": name, "page[size]": size}
        targets.append(f"/api/{job.source}?{urlencode(query, quote_via=quote)}")
    return targets


def download(job: Job, targets: list[str]) -> int:
    """Read all slices over so many sockets at once; says how many bytes came."""
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for each in targets:
        waiting.put(each)
    sizes: list[int] = []
    workers = [
        threading.Thread(target=_read_slices, args=(job, waiting, sizes))
        for _ in range(int(job.options.get("connections", 16)))
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(sizes)


def _read_slices(job: Job, waiting: queue.SimpleQueue[str], sizes: list[int]) -> None:
    connection = http.client.HTTPConnection(urlsplit(job.url).netloc)
    headers = {"Authorization": f"Klaviyo-API-Key {job.api_key}", "revision": REVISION}
    while True:
        try:
            target: str | None = waiting.get_nowait()
        except queue.Empty:
            return
        while target is not None:
            connection.request("GET", target, headers=headers)
            response = connection.getresponse()
            body = response.read()
            if response.status != 200:
                raise RuntimeError(body[:500])
            sizes.append(len(body))
            found = _NEXT.search(body, max(0, len(body) - 4000))
            target = found[1].decode().removeprefix(job.url) if found else None


def load(job: Job) -> int:
    """Load staged Arrow files into a table, in the quickest way found.

    JSON columns come as Arrow's JSON type, so that DuckDB does not parse them, and are stored as the landing does
    (zstd, small row groups). One thread: the stream has one reader, and two compress into a larger file at 1.6
    times the CPU.
    """
    import duckdb
    import pyarrow as pa

    paths = [Path(each) for each in job.options["files"]]
    with pa.OSFile(str(paths[0])) as file:
        found = pa.ipc.open_stream(file).schema
    is_json = {"event_properties", "properties", "_extra"}
    marked = {"ARROW:extension:name": "arrow.json", "ARROW:extension:metadata": ""}
    schema = pa.schema([field.with_metadata(marked) if field.name in is_json else field for field in found])

    def batches() -> Iterator[pa.RecordBatch]:
        for path in paths:
            with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as stream:
                for batch in stream:
                    yield pa.RecordBatch.from_arrays(batch.columns, schema=schema)

    with duckdb.connect(config={"threads": 1, "preserve_insertion_order": False}) as con:
        con.execute(f"ATTACH '{job.database}' AS warehouse (ROW_GROUP_SIZE 20480, STORAGE_VERSION 'v1.5.0')")
        con.execute("USE warehouse")
        con.register("staged", pa.RecordBatchReader.from_batches(schema, batches()))
        described = con.execute("DESCRIBE SELECT * FROM staged").fetchall()
        columns = [f'"{row[0]}" {row[1]}' + " USING COMPRESSION zstd" * (row[1] == "JSON") for row in described]
        con.execute(f"CREATE TABLE {job.source} ({', '.join(columns)})")
        con.execute(f"INSERT INTO {job.source} SELECT * FROM staged")
        con.unregister("staged")
        return int(con.execute(f"SELECT count(*) FROM {job.source}").fetchall()[0][0])


def main() -> None:
    """Do one step."""
    # What is imported when it is first needed, imported now, so that it is not in the time.
    import_module("duckdb")
    import_module("pyarrow")
    job = given_job()
    if job.options["step"] == "load":
        began = time.perf_counter()
        rows = load(job)
        report(seconds=time.perf_counter() - began, rows=rows, table=f"main.{job.source}")
        return
    targets = slices_of(job)
    began = time.perf_counter()
    size = download(job, targets)
    report(seconds=time.perf_counter() - began, bytes=size, pages=len(targets))


if __name__ == "__main__":
    main()
