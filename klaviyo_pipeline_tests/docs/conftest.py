from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from klaviyo_pipeline_tests.docs.documents import ROOT, text_of
from klaviyo_pipeline_tests.made_once import made_once


@dataclass(frozen=True)
class Site:
    """The documentation as `make docs` builds it."""

    folder: Path
    output: str

    def page(self, name: str) -> str:
        """A page's text, by its path in `docs/` without `.md`."""
        return text_of(self.folder / "site" / name / "index.html")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """Built beside the work tree, strictly: a warning fails it."""

    def build(folder: Path) -> None:
        shutil.copytree(ROOT / "docs", folder / "docs")
        for name in ("mkdocs.yml", "CHANGELOG.md"):
            shutil.copy(ROOT / name, folder / name)
        built = subprocess.run(
            [Path(sys.executable).with_name("zensical"), "build", "--strict"],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        assert built.returncode == 0, built.stdout + built.stderr
        (folder / "output.txt").write_text(built.stdout + built.stderr)

    folder = made_once(tmp_path_factory, "site", build)
    return Site(folder, (folder / "output.txt").read_text())


@dataclass(frozen=True)
class Demo:
    """What `klaviyo-pipeline demo` of sixty days leaves and prints."""

    database: Path
    output: str


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The one demo of the tests, of all default data sources, in a process whose environment has no setting of ours."""

    def run(folder: Path) -> None:
        done = subprocess.run(
            [Path(sys.executable).with_name("klaviyo-pipeline"), "demo", "--days", "60"],
            cwd=folder,
            env={"HOME": str(folder), "PATH": "/usr/bin:/bin"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        (folder / "output.txt").write_text(done.stdout)

    folder = made_once(tmp_path_factory, "demo", run)
    return Demo(folder / "data" / "klaviyo.duckdb", (folder / "output.txt").read_text())
