"""Results as text for the terminal, and as benchmarks/RESULTS.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from benchmarks.bench import Section

PATH = Path(__file__).with_name("RESULTS.md")

HOW_TO_READ = """\
# Benchmark results

Written by `make bench` (`python -m benchmarks.run --write`); do not edit. `python -m benchmarks.run --help` tells how
to run a part of it.

## How to read this

- **Ratios, not seconds.** Every ratio is between numbers of one run on one machine. The sandbox runs on the same
  machine as a process of its own and answers a page of 1,000 events in about 4 ms of CPU, so it is never what is
  measured; its CPU and memory are not in the tables.
- Each load is a process of its own, into a new database. `seconds` is what the loader itself measures, imports left
  out; `whole process s` is from start to exit, `CPU s` user and system of it and its children, `peak MB` the kernel's
  high-water mark of resident memory (with children: the most that all held at one time). The fastest of the repeats
  counts, for every loader alike.
- `requests` is what the sandbox counted. `same ids` is checked after every load: the table must hold exactly the ids
  that the sandbox says it has, each once.
- **What every loader does**: reads the same window with the same filter and sort order, in the largest pages (1,000
  events, 100 profiles) but for the plain loader's first row, revision 2026-07-15, without `include`, and keeps
  free-form properties as JSON.
- **Plain loader** (`loaders/plain.py`): `requests.Session`, one cursor, `pandas.json_normalize` a page, and every
  20,000 rows a delete and insert by id into DuckDB. Its columns are as the JSON has them: times stay text. For events
  it runs twice: with the pages that Klaviyo sends when none are asked for (200), as such scripts do (and as every
  peer whose source we read does), and with the largest. The claim of 15 times is about the first.
- **dlt** (`loaders/dlt_rest.py`): the `rest_api` source with `api_key` header authentication, `json_link` paginator,
  merge on `id` (delete-insert), Parquet files, `max_table_nesting` 1 (attributes as columns, properties JSON), two
  normalize processes, files of 25,000 rows, two load threads; telemetry off. Other settings are tried in a
  section of their own.
- **This project**: as a library (`loaders/ours.py`: extract and land as the IO manager does), as many connections as
  it chooses, its own rate limits lifted where the server has none; and whole, through `dagster asset materialize`,
  with the asset's defaults, which read attributions as well (the peers do not), over the range of all its day
  partitions, with its checks and its chart.
- Every process starts with compiled bytecode, as after an installation by pip (uv: `--compile-bytecode`), even where
  the environment says `PYTHONDONTWRITEBYTECODE`: else each start compiles all of Dagster, for two seconds more.
- One cursor is serial: at 50 ms a page, 100 pages take five seconds whatever the loader does. That is the larger part
  of the difference for profiles (500 pages), and a true one: Klaviyo's answers take longer than that.
"""


def as_text(section: Section) -> str:
    """A section for the terminal."""
    rows = [section.header, *section.rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(section.header))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([section.title, *lines])


def verdicts(sections: Sequence[Section]) -> str:
    """All claims for the terminal."""
    found = [verdict for section in sections for verdict in section.verdicts]
    return "\n".join(f"{'ok  ' if each.holds else 'MISS'}  {each.claim}: {each.measured}" for each in found)


def write(sections: Sequence[Section], facts: Mapping[str, str]) -> Path:
    """Write RESULTS.md."""
    lines = [HOW_TO_READ, "## The machine\n", *_table(("", ""), [(name, fact) for name, fact in facts.items()])]
    claims = [
        (each.claim, each.measured, "yes" if each.holds else "**no**")
        for section in sections
        for each in section.verdicts
    ]
    if claims:
        lines += ["\n## Claims\n", *_table(("claim", "measured", "holds"), claims)]
    for section in sections:
        lines += [f"\n## {section.title}\n", f"{section.text}\n", *_table(section.header, section.rows)]
    PATH.write_text("\n".join(lines) + "\n")
    return PATH


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells]
