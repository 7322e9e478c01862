"""GitHub's files: workflows that run commands which exist, with few rights and no address of a registry."""

from __future__ import annotations

import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from klaviyo_pipeline_tests.deployment.files import ROOT
from klaviyo_pipeline_tests.docs.documents import name_of
from klaviyo_pipeline_tests.docs.test_code_blocks import check

GITHUB = ROOT / ".github"
WORKFLOWS = {path.stem: yaml.safe_load(path.read_text()) for path in sorted((GITHUB / "workflows").iterdir())}
FORMS = [path for path in sorted((GITHUB / "ISSUE_TEMPLATE").iterdir()) if path.stem != "config"]


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for workflow, said in WORKFLOWS.items():
        for job, what in said["jobs"].items():
            yield f"{workflow}/{job}", what


def steps() -> Iterator[dict[str, Any]]:
    for _name, job in jobs():
        yield from job.get("steps", [])


def test_workflows_are_for_tests_docs_and_releases() -> None:
    assert set(WORKFLOWS) == {"docs", "release", "test"}
    assert WORKFLOWS["release"][True]["push"] == {"tags": ["v*"]}  # YAML's `on` is true


@pytest.mark.parametrize("step", [each for each in steps() if "run" in each], ids=lambda step: step["run"])
def test_command_of_a_workflow_exists(step: dict[str, Any]) -> None:
    check(step["run"])
    for script in re.findall(r"\.ci/\w+", step["run"]):
        assert (ROOT / script).exists()


@pytest.mark.parametrize("script", sorted((ROOT / ".ci").iterdir()), ids=lambda path: path.name)
def test_script_of_ci_has_commands_that_exist(script: Path) -> None:
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
    check("\n".join(line for line in script.read_text().splitlines() if line.startswith("klaviyo-pipeline")))


def test_actions_have_a_version() -> None:
    used = [each["uses"] for each in steps() if "uses" in each]

    assert used
    assert not [each for each in used if not re.fullmatch(r"[\w-]+/[\w-]+@(v\d+|release/v\d+)", each)]


def test_rights_are_those_that_each_job_needs() -> None:
    assert {said["permissions"]["contents"] for said in WORKFLOWS.values()} == {"read"}
    assert all(len(said["permissions"]) == 1 for said in WORKFLOWS.values())

    assert {name: job["permissions"] for name, job in jobs() if "permissions" in job} == {
        "docs/publish": {"pages": "write", "id-token": "write"},
        "release/publish": {"id-token": "write"},
        "release/announce": {"contents": "write"},
    }


def test_every_job_ends() -> None:
    assert not [name for name, job in jobs() if "uses" not in job and not job.get("timeout-minutes")]


def test_release_is_published_by_trust_after_tests_and_to_no_address() -> None:
    publish = WORKFLOWS["release"]["jobs"]["publish"]

    assert set(publish["needs"]) == {"test", "build"}
    assert publish["environment"] == "pypi"
    assert publish["steps"][-1] == {"uses": "pypa/gh-action-pypi-publish@release/v1"}
    for path in (path for path in GITHUB.rglob("*") if path.is_file()):
        assert not re.search(r"https?://|secrets\.|password", path.read_text()), name_of(path)


def test_release_when_the_version_is_not_that_of_the_tag_then_stops(tmp_path: Path) -> None:
    (step,) = (each for each in WORKFLOWS["release"]["jobs"]["build"]["steps"] if "GITHUB_REF_NAME" in str(each))
    (tmp_path / "dist").mkdir()
    for name in ("klaviyo_pipeline-0.2.0-py3-none-any.whl", "klaviyo_pipeline-0.2.0.tar.gz"):
        (tmp_path / "dist" / name).touch()

    ends = {
        tag: subprocess.run(
            ["bash", "-e", "-c", step["run"]], cwd=tmp_path, env={"GITHUB_REF_NAME": tag}, check=False
        ).returncode
        for tag in ("v0.2.0", "v0.2.1")
    }

    assert ends == {"v0.2.0": 0, "v0.2.1": 1}


def test_version_without_tags_is_after_the_releases_of_the_changelog() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools_scm"]
    released = re.findall(r"(?m)^## \[(\d+(?:\.\d+)*)\]", (ROOT / "CHANGELOG.md").read_text())

    version, dev, _rest = settings["fallback_version"].partition(".dev")
    assert dev
    assert not [each for each in released if _numbers(each) >= _numbers(version)]


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(each) for each in version.split("."))


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_form_is_one_that_github_takes(path: Path) -> None:
    form = yaml.safe_load(path.read_text())

    assert {"name", "description", "body"} <= set(form) <= {"name", "description", "title", "labels", "body"}
    ids = [each["id"] for each in form["body"] if each["type"] != "markdown"]
    assert len(set(ids)) == len(ids)
    for each in form["body"]:
        assert each["type"] in {"markdown", "textarea", "input", "dropdown", "checkboxes"}
        assert "value" in each["attributes"] if each["type"] == "markdown" else each["attributes"]["label"]
    assert any(each.get("validations", {}).get("required") for each in form["body"])


def test_bug_form_warns_of_secrets() -> None:
    assert "Never paste an API key" in (GITHUB / "ISSUE_TEMPLATE" / "bug.yml").read_text()
