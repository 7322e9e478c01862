"""The package as people get it: a wheel, installed into an environment without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from filelock import FileLock

from klaviyo_pipeline_tests.docs.documents import ROOT

PROGRAMS = ("create-dagster", "dagster", "dagster-daemon", "dagster-webserver", "dg")


@dataclass(frozen=True)
class Installed:
    """The built files, and an environment in which the wheel is the only package of its own."""

    folder: Path

    @property
    def bin(self) -> Path:
        return self.folder / "environment" / "bin"

    @property
    def wheel(self) -> Path:
        (found,) = (self.folder / "dist").glob("*.whl")
        return found

    @property
    def sdist(self) -> Path:
        (found,) = (self.folder / "dist").glob("*.tar.gz")
        return found

    def python(self, code: str, folder: Path, **variables: str) -> str:
        """Run Python in a folder, with these variables and no others. Returns what it prints."""
        done = subprocess.run(
            [self.bin / "python", "-c", code],
            cwd=folder,
            env={"HOME": str(folder), "PATH": f"{self.bin}:/usr/bin:/bin", **variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """What is committed here, built and installed; once for all test processes, as it takes 5 s of CPU."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "installed"
    done = folder / "done"
    with FileLock(f"{folder}.lock"):
        if not done.exists():
            folder.mkdir()
            _build(folder)
            _install(Installed(folder))
            done.touch()
    return Installed(folder)


def _build(folder: Path) -> None:
    """The sdist of a fresh clone, and the wheel of the sdist. The packages that build are those of this environment."""
    _run("git", "clone", "--quiet", str(ROOT), str(folder / "clone"))
    _run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder / "dist"), str(folder / "clone"))


def _install(installed: Installed) -> None:
    """The wheel in an environment whose dependencies are the ones of this environment, so that none is downloaded."""
    environment = installed.bin.parent
    _run(sys.executable, "-m", "venv", "--without-pip", str(environment))
    python = installed.bin / "python"
    pip = (sys.executable, "-m", "pip", "--python", str(python), "--disable-pip-version-check", "--quiet")
    _run(*pip, "install", "--no-deps", "--no-index", str(installed.wheel))
    # The .pth files of that folder count for nothing here, so its editable install of the checkout does not either.
    (site,) = environment.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    for program in entry_points(group="console_scripts"):
        if program.name in PROGRAMS:
            script = installed.bin / program.name
            # As pip writes them: processes that a program starts import it, and must not start it again.
            start = f"if __name__ == '__main__':\n    {program.attr}()\n"
            script.write_text(f"#!{python}\nfrom {program.module} import {program.attr}\n{start}")
            script.chmod(0o755)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
