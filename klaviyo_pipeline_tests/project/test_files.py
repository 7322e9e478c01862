"""`init` writes a whole project and overwrites nothing; its files work where the project is."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from klaviyo_pipeline.accounts import file as accounts
from klaviyo_pipeline.cli import main
from klaviyo_pipeline.environment import VARIABLES
from klaviyo_pipeline.project.files import PROJECT, write_project
from klaviyo_pipeline.transfers.file import authentications
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline_tests.deployment.files import Ignored, compose, dockerfile, last_stage


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new project, in a folder whose path needs care in the files of others."""
    folder = tmp_path_factory.mktemp("a shop") / "100 % Klaviyo"
    write_project(folder)
    return folder


def texts(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


def test_project_when_written_then_no_value_is_left_open(project: Path) -> None:
    written = texts(project)

    assert not [name for name, text in written.items() if re.search(r"@[A-Z]+@", text)]
    assert {".env.example", "compose.yaml", "dagster.yaml", "workspace.yaml", "deploy/klaviyo-daemon.service"} <= set(
        written
    )
    assert written["requirements.txt"] == f"klaviyo-pipeline=={version('klaviyo-pipeline')}\n"


def test_project_when_files_are_there_then_they_stay_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry: {enabled: true}\n")
    (tmp_path / "compose.yaml").symlink_to("elsewhere.yaml")

    first = CliRunner().invoke(main, ["init", str(tmp_path), "--json"])
    before = texts(tmp_path)
    second = CliRunner().invoke(main, ["init", str(tmp_path)])

    assert first.exit_code == second.exit_code == 0
    assert json.loads(first.output)["kept"] == ["compose.yaml", "dagster.yaml"]
    assert before["dagster.yaml"] == "telemetry: {enabled: true}\n"
    assert not (tmp_path / "elsewhere.yaml").exists()
    assert texts(tmp_path) == before
    assert "wrote" not in second.output


def test_project_when_the_folder_is_a_file_then_the_command_says_so(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("")

    done = CliRunner().invoke(main, ["init", str(tmp_path / "notes")])

    assert done.exit_code == 2
    assert "is a file" in done.output


def test_project_dg_dagster_and_the_workspace_load_the_same_definitions(project: Path) -> None:
    settings = tomllib.loads((project / "pyproject.toml").read_text())["tool"]
    (loaded,) = yaml.safe_load((project / "workspace.yaml").read_text())["load_from"]

    module = loaded["python_module"]["module_name"]
    assert module == settings["dagster"]["module_name"] == f"{settings['dg']['project']['root_module']}.definitions"
    assert (project / f"{module.replace('.', '/')}.py").exists()
    name = loaded["python_module"]["location_name"]
    assert name == settings["dagster"]["code_location_name"] == settings["dg"]["project"]["code_location_name"]


def test_project_settings_and_transfers_are_known(project: Path) -> None:
    names = set(re.findall(r"(?m)^#?([A-Z_]+)=", (project / ".env.example").read_text()))
    assert names <= {each.name for each in (*VARIABLES, authentications.FILE, accounts.FILE)}
    examples = sorted((project / "transfers" / "examples").iterdir())
    assert examples
    for path in examples:
        assert read_text(path.read_text(), path, ()).transfer.source


def test_project_image_takes_only_files_of_the_project(project: Path) -> None:
    ignored = Ignored(project / ".dockerignore")
    instructions = dockerfile(project / "Dockerfile")
    copied = [word for each in instructions if each.name == "COPY" and "from" not in each.flags for word in each.words]

    assert {"requirements.txt", "workspace.yaml", PROJECT} <= set(copied)
    for word in set(copied) - {"./", f"./{PROJECT}", "*.whl"}:
        assert (project / word).exists()
        assert word not in ignored
    assert ".env" in ignored
    assert f"{PROJECT}/definitions.py" not in ignored
    assert "klaviyo_pipeline-0.2.0-py3-none-any.whl" not in ignored
    command = next(each.words for each in last_stage(instructions) if each.name == "CMD")
    assert command == tuple(compose(project / "compose.yaml")["services"]["webserver"]["command"])


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_project_units_when_systemd_reads_them_then_they_start_the_programs_of_this_environment(project: Path) -> None:
    (project / ".env").touch()
    units = sorted(path.name for path in (project / "deploy").glob("*.service"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *(project / "deploy" / name for name in units)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert units == ["klaviyo-daemon.service", "klaviyo-webserver.service"]
    assert (done.returncode, done.stderr) == (0, "")
    for name in units:
        unit = (project / "deploy" / name).read_text().replace("%%", "%")
        (program,) = re.findall(r'^ExecStart="(.*?)"', unit, re.MULTILINE)
        assert Path(program).exists()
        assert Path(program).parent == Path(sys.executable).parent
        assert f"WorkingDirectory={project}\n" in unit
        assert f'"DAGSTER_HOME={project}"' in unit
