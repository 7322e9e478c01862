"""The files in deploy/ for several machines fit each other and the project."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import yaml

from klaviyo_pipeline.environment import VARIABLES
from klaviyo_pipeline_tests.deployment.files import ROOT, Ignored, compose, dockerfile
from klaviyo_pipeline_tests.deployment.test_files import PLANTED

DEPLOY = ROOT / "deploy"


def settings() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "celery" / "dagster.yaml").read_text())


def read_from_environment(value: Any) -> set[str]:
    """The variables that settings of Dagster name."""
    if isinstance(value, dict):
        own = {value["env"]} if set(value) == {"env"} else set()
        return own.union(*(read_from_environment(each) for each in value.values()))
    return set().union(*(read_from_environment(each) for each in value)) if isinstance(value, list) else set()


def test_services_when_they_start_then_have_every_variable_that_dagster_reads():
    services = compose(DEPLOY / "celery" / "compose.yaml")["services"]
    assert {"webserver", "daemon", "worker"} <= services.keys()
    known = {each.name for each in VARIABLES}
    for name in ("webserver", "daemon", "worker"):
        given = services[name]["environment"].keys()
        assert read_from_environment(settings()) - given == {"DAGSTER_POSTGRES_PASSWORD"}, "only .env has the password"
        assert {each for each in given if each.startswith("KLAVIYO_")} <= known
    for name in ("postgres", "redis"):
        assert "ports" not in services[name]


def test_image_when_it_is_built_then_has_the_files_and_the_extras_that_it_names():
    steps = [each for each in dockerfile(DEPLOY / "Dockerfile") if each.name == "COPY" and "from" not in each.flags]
    copied = {word for each in steps for word in each.words[:-1]}
    ignored = Ignored(DEPLOY / "Dockerfile.dockerignore")
    assert copied
    assert [each for each in PLANTED if each not in ignored] == []
    assert [each for each in copied if not (ROOT / each).exists() or each.removeprefix("./") in ignored] == []
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    wanted = re.search(r"\.\[([a-z0-9,]+)\]", (DEPLOY / "Dockerfile").read_text())
    assert wanted is not None
    assert set(wanted[1].split(",")) <= extras.keys()


def test_settings_of_several_machines_when_compared_with_those_of_one_then_keep_its_limits():
    alone = yaml.safe_load((ROOT / "dagster.yaml").read_text())
    for name in ("max_runtime_seconds", "free_slots_after_run_end_seconds"):
        assert settings()["run_monitoring"][name] == alone["run_monitoring"][name]
    transport = settings()["run_launcher"]["config"]["config_source"]["broker_transport_options"]
    assert transport["visibility_timeout"] > alone["run_monitoring"]["max_runtime_seconds"]
