"""What a page says works: every command, in the order of the page, and every query, on rows of the sandbox."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest

from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.docs.documents import DOCS, Block, all_blocks, blocks, name_of
from klaviyo_pipeline_tests.docs.pages import NOT_RUN, clone, follow, left_out, pages

SHOP = SandboxOptions(seed=3, profiles=60, events=600, days=40, until="2026-11-20T00:00:00+00:00", lists=3)


@pytest.fixture(scope="module")
def account() -> Iterator[RunningSandbox]:
    """What stands for the reader's account."""
    with running_sandbox(SHOP, ServerOptions(rate_limits=False)) as sandbox:
        yield sandbox


def _yaml_of(page: str, key: str) -> str:
    """The YAML of a page that begins with a key."""
    return next(block.text for block in blocks(DOCS / page) if block.language == "yaml" and block.text.startswith(key))


def _ci(folder: Path) -> None:
    """A transfer, and the config of a run as the page shows it."""
    (folder / "transfers/daily_lists.yml").write_text((folder / "transfers/examples/daily_lists.yml").read_text())
    (folder / "run_config.yaml").write_text(_yaml_of("ci.md", "ops:"))


def _treasure_data(folder: Path) -> None:
    """The file that its reader brings along: the example of the page."""
    (folder / "config.yml").write_text(_yaml_of("migrating-from-treasure-data.md", "in:"))


def _operations(folder: Path) -> None:
    """A database."""
    with duckdb.connect(str(folder / "data/klaviyo.duckdb")) as connection:
        connection.execute("CREATE TABLE lists AS SELECT 'X' AS id")


STATES: dict[str, Callable[[Path], None]] = {
    "docs/ci.md": _ci,
    "docs/migrating-from-treasure-data.md": _treasure_data,
    "docs/operations.md": _operations,
}
"""What a page assumes beside a clone and an account."""


@pytest.mark.parametrize("page", pages(), ids=name_of)
def test_every_command_of_a_page_works(page: Path, tmp_path: Path, account: RunningSandbox) -> None:
    clone(tmp_path)
    STATES.get(name_of(page), lambda folder: None)(tmp_path)

    done = follow(page, tmp_path, {"KLAVIYO_API_KEY": account.api_key, "KLAVIYO_BASE_URL": account.url})

    assert done.returncode == 0, done.stdout
    assert not re.search(r"\w+Warning\b|will not be used", done.stdout), done.stdout


def test_every_page_with_a_state_has_commands() -> None:
    assert set(STATES) <= {name_of(page) for page in pages()}


def test_commands_that_are_left_out_are_on_the_pages() -> None:
    assert set(Counter(left_out())) == set(NOT_RUN)


@pytest.mark.parametrize("block", all_blocks(""), ids=str)
def test_block_without_a_language_has_no_command(block: Block) -> None:
    """Such a block would not be run. Synopses of commands are in the reference."""
    if name_of(block.path) != "docs/reference/commands.md":
        assert not re.search(r"(?m)^(make|klaviyo-pipeline|dg|dagster|python|docker|pip) ", block.text)


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """What `make demo` leaves, of sixty days."""
    folder = tmp_path_factory.mktemp("loaded")
    command = [str(Path(sys.executable).with_name("klaviyo-pipeline")), "demo", "--days", "60"]
    done = subprocess.run(
        command, cwd=folder, env={"HOME": str(folder), "PATH": "/usr/bin:/bin"}, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(folder / "data" / "klaviyo.duckdb")) as connection:
        yield connection


@pytest.mark.parametrize("block", all_blocks("sql"), ids=str)
def test_every_query_finds_rows_and_no_column_is_empty(loaded: duckdb.DuckDBPyConnection, block: Block) -> None:
    made = re.match(r"(?i)create view (\w+)", block.text)
    if made:
        loaded.execute(block.text)

    found = loaded.execute(f"FROM {made[1]}" if made else block.text)

    columns = [column[0] for column in found.description]
    rows = found.fetchall()
    assert rows
    empty = [name for name, values in zip(columns, zip(*rows, strict=True), strict=True) if not any(values)]
    assert not empty
