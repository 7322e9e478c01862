"""The page for newcomers from its first to its last command, on a machine without us and without an account."""

from __future__ import annotations

import re
import socket
import struct
import zlib
from pathlib import Path

import duckdb
import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from klaviyo_pipeline.klaviyo.catalogue.registry import DEFAULT
from klaviyo_pipeline_tests.docs.documents import DOCS, ROOT, blocks
from klaviyo_pipeline_tests.docs.pages import of_newcomer
from klaviyo_pipeline_tests.newcomer.machine import Newcomer

PAGE = DOCS / "getting-started.md"
SERVE = "make dev"
WARNINGS = re.compile(r"(?m)\w+Warning\b|will not be used|^(?!WARNING: ).*\bWARNING\b")
"""Those of Python and Dagster. Lines that begin with it are pip's, about the machine."""


def steps() -> list[str]:
    """The blocks of commands on the page, but for those that need an account."""
    return [block.text for block in blocks(PAGE) if block.language == "sh" and of_newcomer(block)]


def image(path: Path) -> tuple[int, int, bytes]:
    """A PNG's width, height and unpacked rows; raises for anything that is none."""
    data = path.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", data[16:24])
    packed, at = b"", 8
    while at < len(data):
        (length,) = struct.unpack(">I", data[at : at + 4])
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + body) == struct.unpack(">I", data[at + 8 + length : at + 12 + length])[0]
        packed += body if kind == b"IDAT" else b""
        at += length + 12
    return width, height, zlib.decompress(packed)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def assets_at(port: int) -> set[str]:
    """The assets that Dagster's web server knows, from when it answers; it says that it serves a moment earlier."""
    asked = {"query": "{ assetNodes { assetKey { path } } }"}
    with requests.Session() as session:
        patience = Retry(None, connect=40, backoff_factor=0.1, backoff_max=1, allowed_methods=None)
        session.mount("http://", HTTPAdapter(max_retries=patience))
        nodes = session.post(f"http://127.0.0.1:{port}/graphql", json=asked, timeout=60).json()["data"]["assetNodes"]
    return {"/".join(node["assetKey"]["path"]) for node in nodes}


def counts(database: Path) -> dict[str, int]:
    """The rows of each data source."""
    with duckdb.connect(str(database), read_only=True) as connection:
        return {name: len(connection.execute(f"FROM klaviyo.{name}").fetchall()) for name in DEFAULT}


@pytest.mark.newcomer
@pytest.mark.timeout(1500)
def test_newcomer_when_typing_what_the_page_says_then_has_every_row_a_chart_the_ui_and_runs(tmp_path: Path) -> None:
    newcomer = Newcomer.with_clone(tmp_path)
    serve = next(index for index, step in enumerate(steps()) if step.strip() == SERVE)
    database = newcomer.folder / "data" / "klaviyo.duckdb"

    typed = newcomer.types("\n".join(steps()[:serve]))

    assert typed.returncode == 0, typed.stdout
    summary = re.findall(r"│ (\w+) +│ ([\d,]+) +│ ([\d,]+) +│ ([\d,]+) +│ [\d.]+ +│ (\w+) +│", typed.stdout)
    assert [line[0] for line in summary] == list(DEFAULT), typed.stdout
    loaded = counts(database)
    for table, rows, ids, at_klaviyo, verdict in summary:
        assert rows == ids == at_klaviyo
        assert verdict == "ok"
        assert loaded[table] == int(rows.replace(",", ""))
    named = re.findall(r"(\S+\.png)\b", typed.stdout)
    assert named, typed.stdout
    width, height, lines = image(newcomer.folder / named[-1])
    assert width > 300
    assert height > 200
    assert len(set(lines)) > 20  # lines, text and colours, not an empty sheet

    port = free_port()
    with newcomer.leaves_running(f"{SERVE} PORT={port}", ready="Serving dagster-webserver") as served:
        assert {f"klaviyo/{name}" for name in DEFAULT} <= assets_at(port)

    launched = newcomer.types("\n".join(["source .venv/bin/activate", *steps()[serve + 1 :]]))

    assert launched.returncode == 0, launched.stdout
    assert launched.stdout.count("RUN_SUCCESS") == steps()[-1].count("dg launch") > 1
    assert counts(database) == loaded
    for said in (typed.stdout, served, launched.stdout):
        assert not WARNINGS.search(said), said


def test_readme_begins_with_the_command_that_the_page_begins_with() -> None:
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "sh").text.split("#")[0].strip()
    assert steps()[0].strip() == first == "make demo"
