"""The built files are whole, and the pages about installing work with them alone."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from email.message import Message
from email.parser import Parser
from pathlib import Path

import duckdb
import pytest
import yaml

from klaviyo_pipeline.klaviyo.catalogue.registry import DEFAULT
from klaviyo_pipeline.sandbox.options import SandboxOptions, ServerOptions
from klaviyo_pipeline.sandbox.server import RunningSandbox, running_sandbox
from klaviyo_pipeline_tests.docs.documents import DOCS, ROOT, blocks
from klaviyo_pipeline_tests.docs.pages import follow
from klaviyo_pipeline_tests.installed.conftest import Installed
from klaviyo_pipeline_tests.newcomer.machine import environment, leaves_running
from klaviyo_pipeline_tests.newcomer.test_ten_minutes import assets_at, free_port

pytestmark = pytest.mark.newcomer
SHOP = SandboxOptions(seed=3, profiles=40, events=200, days=6, until="2026-11-20T00:00:00+00:00", lists=3)


@pytest.fixture(scope="module")
def account() -> Iterator[RunningSandbox]:
    """What stands for the reader's account."""
    with running_sandbox(SHOP, ServerOptions(rate_limits=False)) as sandbox:
        yield sandbox


def tracked(folder: Path) -> set[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=folder, capture_output=True, text=True, check=True)
    return set(listed.stdout.splitlines())


def test_wheel_has_every_file_of_the_package_and_nothing_else(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert names == {name for name in tracked(installed.folder / "clone") if name.startswith("klaviyo_pipeline/")}


def test_sdist_has_every_file_that_git_has(installed: Installed) -> None:
    with tarfile.open(installed.sdist) as sdist:
        names = {name.partition("/")[2] for name in sdist.getnames()}

    assert tracked(installed.folder / "clone") <= names


def test_built_files_when_checked_as_an_index_does_then_pass(installed: Installed) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", installed.wheel, installed.sdist],
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout


def _metadata(installed: Installed) -> Message:
    with zipfile.ZipFile(installed.wheel) as wheel:
        (path,) = (name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
        return Parser().parsestr(wheel.read(path).decode())


def test_description_in_a_package_index_has_no_link_that_leads_nowhere(installed: Installed) -> None:
    description = str(_metadata(installed).get_payload())

    assert "klaviyo-pipeline demo" in description
    assert re.findall(r"\]\((?!https://)[^)]*\)|(?:src|href)=", description) == []


def test_metadata_names_the_version_the_licence_and_the_pythons_of_the_workflow(installed: Installed) -> None:
    metadata = _metadata(installed)
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "test.yml").read_text())

    pythons = {
        each.rpartition(" ")[2]
        for each in metadata.get_all("Classifier", [])
        if re.fullmatch(r"Programming Language :: Python :: 3\.\d+", each)
    }
    assert pythons == set(workflow["jobs"]["wheel"]["strategy"]["matrix"]["python"])
    assert metadata["License-Expression"] == "MIT"
    assert installed.wheel.name.startswith(f"klaviyo_pipeline-{metadata['Version']}-")


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        (["git tag v9.8.7"], r"9\.8\.7"),
        (["git tag v9.8.7", "git commit -q --allow-empty -m later"], r"9\.8\.8\.dev1\+g\w+"),
        ([], r"{fallback}\.dev\d+\+g\w+"),
        (["rm -rf .git"], r"{fallback}\.dev0"),
    ],
    ids=["at a tag", "after a tag", "no tags", "no Git"],
)
def test_version_is_that_of_the_tag(commands: list[str], expected: str, tmp_path: Path) -> None:
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    fallback = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]["fallback_version"]
    first = ["git init -q", "git add pyproject.toml", "git commit -q -m first"]
    roles = [f"GIT_{role}_{what}" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")]
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **dict.fromkeys(roles, "somebody")}
    for each in (*first, *commands):
        subprocess.run(each.split(), cwd=tmp_path, env=variables, check=True)

    command = [sys.executable, "-m", "setuptools_scm"]
    said = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)

    assert re.fullmatch(expected.format(fallback=re.escape(fallback.removesuffix(".dev0"))), said.stdout.strip())


def test_environment_has_the_package_of_the_wheel(installed: Installed, tmp_path: Path) -> None:
    code = "import klaviyo_pipeline as k; print(k.__file__, k.__version__)"
    place, version = installed.python(code, tmp_path).split()

    assert Path(place).is_relative_to(installed.folder / "environment")
    assert f"-{version}-" in installed.wheel.name


@pytest.mark.timeout(1500)
def test_empty_folder_when_the_page_about_installing_is_followed_then_demo_status_project_and_ui_work(
    installed: Installed, tmp_path: Path
) -> None:
    done = follow(DOCS / "install.md", tmp_path, {}, installed.bin)

    assert done.returncode == 0, done.stdout
    assert re.search(r"│ events +│ [\d,]+ │ [\d,]+ +│ [\d,]+ +│ [\d.]+ +│ ok │", done.stdout), done.stdout
    assert "All tables are well." in done.stdout
    assert "<title>Klaviyo report of " in (tmp_path / "data" / "klaviyo-report.html").read_text()
    assert "WRONG" not in done.stdout
    port = free_port()
    with leaves_running(
        f"klaviyo-pipeline with-sandbox -- dg dev --port {port}",
        "Serving dagster-webserver",
        tmp_path,
        environment(tmp_path / "home", installed.bin) | {"DAGSTER_HOME": str(tmp_path)},
    ):
        assert {f"klaviyo/{name}" for name in DEFAULT} <= assets_at(port)


@pytest.mark.timeout(1500)
def test_new_project_of_dg_when_the_page_about_the_component_is_followed_then_a_brand_loads(
    installed: Installed, tmp_path: Path, account: RunningSandbox
) -> None:
    variables = {"BRAND_US_API_KEY": account.api_key, "KLAVIYO_BASE_URL": account.url}
    of_project = {"PYTHONPATH": "src"}  # instead of the installation, which is left out

    done = follow(DOCS / "component.md", tmp_path, variables | of_project, installed.bin)

    assert done.returncode == 0, done.stdout
    assert "RUN_SUCCESS" in done.stdout
    file = tmp_path / "shop" / "src" / "shop" / "defs" / "brand_us" / "defs.yaml"
    shown = next(block.text for block in blocks(DOCS / "component.md") if block.language == "yaml")
    assert yaml.safe_load(file.read_text()) == yaml.safe_load(shown)
    with duckdb.connect(str(tmp_path / "shop" / "data" / "klaviyo.duckdb"), read_only=True) as con:
        assert len(con.execute("FROM brand_us.lists").fetchall()) == SHOP.lists

    file.write_text(file.read_text().replace("- default", "- evnts\n  first_dya: '2026-01-01'"))
    checked = subprocess.run(
        [installed.bin / "dg", "check", "yaml"],
        cwd=tmp_path / "shop",
        env=environment(tmp_path / "home", installed.bin),
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 1
    assert re.search(r"defs\.yaml:\d+ .*'?first_dya'?", checked.stdout), checked.stdout
    assert re.search(r"defs\.yaml:\d+ .*evnts", checked.stdout), checked.stdout


def test_foreign_project_of_the_docs_when_run_with_the_wheel_then_merges(installed: Installed, tmp_path: Path) -> None:
    (block,) = (each for each in blocks(DOCS / "your-project.md") if each.language == "python")
    code = f"{block.text}\nprint(len(merged.resolve_all_asset_keys()))"

    assert int(installed.python(code, tmp_path).splitlines()[-1]) > 20
