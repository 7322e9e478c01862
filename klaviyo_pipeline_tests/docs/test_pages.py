"""What a page says works: every command, in the order of the page, and every query, on rows of the sandbox."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import pytest
import yaml

from klaviyo_pipeline import KlaviyoComponent
from klaviyo_pipeline.accounts import file as accounts
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline.transfers.file.authentications import read_authentications
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.docs.conftest import Demo
from klaviyo_pipeline_tests.docs.documents import DOCS, Block, all_blocks, blocks, name_of
from klaviyo_pipeline_tests.docs.pages import NOT_RUN, clone, follow, left_out, pages

SHOP = SandboxOptions(seed=3, profiles=60, events=600, days=40, until="2026-11-20T00:00:00+00:00", lists=3)
FIRST_DAY = "2026-10-01"
"""The first day that a page names, and before the first of the account: each day that a load reads costs a record."""


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
SETTINGS = {"docs/getting-started.md": {"KLAVIYO_SOURCES": "core"}}
"""What the reader of a page has set. README.md loads all default data sources, by the same command."""

QUICK = "docs/transfers.md"
"""The page whose commands `make test` runs; `make test-long` runs all others."""


@pytest.mark.timeout(1500)  # a page may load all data sources and more, on a machine that is busy
@pytest.mark.parametrize(
    "page",
    [pytest.param(page, marks=() if name_of(page) == QUICK else pytest.mark.long) for page in pages()],
    ids=name_of,
)
def test_every_command_of_a_page_works(page: Path, tmp_path: Path, account: RunningSandbox) -> None:
    clone(tmp_path)
    STATES.get(name_of(page), lambda folder: None)(tmp_path)

    reader = {"KLAVIYO_API_KEY": account.api_key, "KLAVIYO_BASE_URL": account.url, "KLAVIYO_PARTITION_START": FIRST_DAY}
    done = follow(page, tmp_path, reader | SETTINGS.get(name_of(page), {}))

    assert done.returncode == 0, done.stdout
    assert not re.search(r"\w+Warning\b|will not be used", done.stdout), done.stdout


def test_every_page_with_a_state_or_settings_has_commands() -> None:
    assert set(STATES) | set(SETTINGS) <= {name_of(page) for page in pages()}


def test_commands_that_are_left_out_are_on_the_pages() -> None:
    assert set(Counter(left_out())) == set(NOT_RUN)


@pytest.mark.parametrize("block", all_blocks(""), ids=str)
def test_block_without_a_language_has_no_command(block: Block) -> None:
    """Such a block would not be run. Synopses of commands are in the reference."""
    if name_of(block.path) != "docs/reference/commands.md":
        assert not re.search(r"(?m)^(make|klaviyo-pipeline|dg|dagster|python|docker|pip) ", block.text)


PYTHON = {
    "docs/library.md": "",
    "docs/component.md": "",
    "docs/your-project.md": "",
    "docs/incremental-loading.md": """
from klaviyo_pipeline.definitions import defs
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource, KlaviyoResource
klaviyo, duckdb = KlaviyoResource(), KlaviyoDuckDBResource()
""",
    "docs/write-modes.md": "",
    "docs/sandbox.md": """
both = dg.Definitions.merge(defs, dg.Definitions(assets=[buyers]))
done = both.resolve_implicit_global_asset_job_def().execute_in_process(asset_selection=[buyers.key])
assert done.output_for_node("buyers").shape[0] > 0
assert found.days and not found.differences, found
""",
}
"""The pages with Python, in an order in which each finds what it assumes, and what is run before each."""


@pytest.mark.long
def test_every_block_of_python_runs(tmp_path: Path, account: RunningSandbox) -> None:
    code = {name_of(block.path): block.text for block in all_blocks("python")}
    assert set(code) == set(PYTHON)
    assert len(code) == len(all_blocks("python"))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))},
        "KLAVIYO_API_KEY": account.api_key,
        "KLAVIYO_BASE_URL": account.url,
        "KLAVIYO_DUCKDB_PATH": "library.duckdb",
    }

    script = "\n".join(f"{before}\n{code[page]}" for page, before in PYTHON.items())
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("block", all_blocks("yaml"), ids=str)
def test_every_file_of_a_page_is_read_without_a_problem(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("KLAVIYO_API_KEY", "KLAVIYO_UK_API_KEY", "KLAVIYO_US_API_KEY"):
        monkeypatch.setenv(name, "pk_of_a_reader")
    monkeypatch.setenv("KLAVIYO_PRIVACY_SECRET", "a secret of this reader")
    said = yaml.safe_load(block.text)
    if {"source", "in"} & set(said):
        assert not read_text(block.text, tmp_path / "page.yml", accounts=[]).warnings or "in" in said
    elif "ops" in said:
        for op, given in said["ops"].items():
            source = "lists" if op.startswith("transfers__") else op.removeprefix("klaviyo__")
            config_class(source)(**given["config"])
    elif "accounts" in said:
        found = accounts.read_text(block.text, "klaviyo.yml")
        assert [each.name for each in found if isinstance(each, accounts.Account)] == list(said["accounts"])
    elif "attributes" in said:
        assert KlaviyoComponent.resolve_from_dict(said["attributes"]).account.name
    elif "jobs" not in said:
        file = tmp_path / "authentications.yml"
        file.write_text(block.text)
        monkeypatch.setenv("KLAVIYO_AUTHENTICATIONS", str(file))
        assert set(read_authentications()) == {*said, "default"}


@pytest.fixture(scope="module")
def loaded(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    """A copy of the demo's database, in which the pages' queries may make views."""
    with duckdb.connect(shutil.copy(demo.database, tmp_path_factory.mktemp("loaded"))) as connection:
        yield connection


@pytest.mark.long
def test_demo_lands_what_the_sandbox_has(demo: Demo, loaded: duckdb.DuckDBPyConnection) -> None:
    assert "draws artifacts/daily_metrics.png" in demo.output
    for name in CORE:
        assert name in demo.output
        rows, ids = loaded.execute(f"SELECT count(*), count(DISTINCT id) FROM klaviyo.{name}").fetchall()[0]
        assert rows == ids > 0


# The demo has one account. Views over several ones are queried in accounts/test_project.py.
@pytest.mark.parametrize("block", [each for each in all_blocks("sql") if "all_accounts." not in each.text], ids=str)
@pytest.mark.long
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
