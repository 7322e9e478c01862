"""From a clone to a chart, by the page that tells how: its commands as they stand there, on a machine without us."""

from __future__ import annotations

import re
import struct
import zlib
from pathlib import Path

import duckdb
import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline_tests.docs.documents import DOCS, ROOT, blocks
from klaviyo_pipeline_tests.newcomer.machine import Newcomer

PAGE = DOCS / "getting-started.md"
LAST = "## Your own account"
"""The heading from which on a Klaviyo account is needed, or a browser."""


def steps() -> list[str]:
    """The blocks of commands on the page, up to where an account is needed."""
    last_line = PAGE.read_text().split(LAST, 1)[0].count("\n")
    return [block.text for block in blocks(PAGE) if block.language == "sh" and block.line <= last_line]


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


@pytest.mark.newcomer
@pytest.mark.timeout(600)
def test_newcomer_when_typing_what_the_page_says_then_has_every_row_and_a_chart(tmp_path: Path) -> None:
    newcomer = Newcomer.with_clone(tmp_path)

    typed = newcomer.types("\n".join(steps()))

    assert typed.returncode == 0, typed.stdout
    summary = re.findall(r"│ (\w+) +│ ([\d,]+) +│ ([\d,]+) +│ ([\d,]+) +│ [\d.]+ +│ (\w+) +│", typed.stdout)
    assert [line[0] for line in summary] == list(SOURCES), typed.stdout
    with duckdb.connect(str(newcomer.folder / "data" / "klaviyo.duckdb"), read_only=True) as connection:
        for table, rows, ids, at_klaviyo, verdict in summary:
            assert rows == ids == at_klaviyo
            assert verdict == "ok"
            counted = connection.execute(f"SELECT count(*) FROM klaviyo.{table}").fetchone()
            assert counted == (int(rows.replace(",", "")),)
    named = re.findall(r"(\S+\.png)\b", typed.stdout)
    assert named, typed.stdout
    width, height, rows = image(newcomer.folder / named[-1])
    assert width > 300
    assert height > 200
    assert len(set(rows)) > 20  # lines, text and colours, not an empty sheet


def test_readme_begins_with_the_command_that_the_page_begins_with() -> None:
    first = next(block for block in blocks(ROOT / "README.md") if block.language == "sh").text.split("#")[0].strip()
    assert steps()[0].strip() == first == "make demo"
