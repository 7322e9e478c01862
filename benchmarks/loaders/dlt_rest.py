"""dlt's `rest_api` source into DuckDB through Parquet files, as its documentation has it.

Options (their defaults are the best of those tried on two cores, see RESULTS.md):
    nesting: `max_table_nesting`; 1 keeps attributes as columns and what lies deeper as JSON.
    strategy: of the merge, `delete-insert` or `upsert`.
    normalize_workers, load_workers: dlt's processes and threads.
    file_max_items: rows a file, so that several workers have something to do; 0 for dlt's own.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.loaders.job import REVISION, Job, given_job, report

DEFAULTS: dict[str, Any] = {
    "nesting": 1,
    "strategy": "delete-insert",
    "normalize_workers": 2,
    "load_workers": 2,
    "file_max_items": 25_000,
}


def configure(job: Job, folder: Path) -> dict[str, Any]:
    """Set dlt's environment, before it is imported."""
    options = DEFAULTS | dict(job.options)
    os.environ |= {
        "RUNTIME__DLTHUB_TELEMETRY": "false",
        "RUNTIME__LOG_LEVEL": "ERROR",
        "DLT_DATA_DIR": str(folder),
        "NORMALIZE__WORKERS": str(options["normalize_workers"]),
        "NORMALIZE__START_METHOD": "spawn",
        "LOAD__WORKERS": str(options["load_workers"]),
    }
    if options["file_max_items"]:
        os.environ["DATA_WRITER__FILE_MAX_ITEMS"] = str(options["file_max_items"])
    return options


def main() -> None:
    """Load the job's collection."""
    job = given_job()
    with tempfile.TemporaryDirectory(prefix="bench_dlt_", dir=Path(job.database).parent) as folder:
        options = configure(job, Path(folder))
        import dlt
        from dlt.sources.rest_api import rest_api_source

        began = time.perf_counter()
        source = rest_api_source(
            {
                "client": {
                    "base_url": f"{job.url}/api/",
                    "headers": {"revision": REVISION, "Accept": "application/vnd.api+json"},
                    "auth": {
                        "type": "api_key",
                        "name": "Authorization",
                        "api_key": f"Klaviyo-API-Key {job.api_key}",
                        "location": "header",
                    },
                    "paginator": {"type": "json_link", "next_url_path": "links.next"},
                },
                "resources": [
                    {
                        "name": job.source,
                        "primary_key": "id",
                        "write_disposition": {"disposition": "merge", "strategy": options["strategy"]},
                        "max_table_nesting": options["nesting"],
                        "endpoint": {"path": job.source, "params": dict(job.parameters), "data_selector": "data"},
                    }
                ],
            },
            max_table_nesting=options["nesting"],
        )
        pipeline = dlt.pipeline(
            pipeline_name="klaviyo",
            pipelines_dir=str(Path(folder) / "pipelines"),
            destination=dlt.destinations.duckdb(job.database),
            dataset_name="klaviyo",
        )
        steps = {}
        for name, step in (
            ("extract", lambda: pipeline.extract(source, loader_file_format="parquet")),
            ("normalize", pipeline.normalize),
            ("load", pipeline.load),
        ):
            started = time.perf_counter()
            step()
            steps[name] = round(time.perf_counter() - started, 3)
        report(seconds=time.perf_counter() - began, table=f"klaviyo.{job.source}", parts=steps)


if __name__ == "__main__":
    main()
