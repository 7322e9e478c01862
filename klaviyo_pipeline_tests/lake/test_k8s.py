"""The Helm values fit Dagster's launcher of runs in Kubernetes, and the models of Kubernetes' own client."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from klaviyo_pipeline_tests.deployment.files import ROOT

pytestmark = pytest.mark.lake


def values() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy" / "k8s" / "values.yaml").read_text())


def snake_case(name: str) -> str:
    return re.sub("[A-Z]", lambda capital: f"_{capital[0].lower()}", name)


def test_values_when_the_launcher_reads_them_then_a_run_is_a_job_with_the_image_and_the_stage():
    from dagster._config import process_config, resolve_to_config_type
    from dagster_k8s import K8sRunLauncher
    from dagster_k8s.job import DagsterK8sJobConfig, UserDefinedDagsterK8sConfig, construct_dagster_k8s_job

    given = values()["runLauncher"]["config"]["k8sRunLauncher"]
    in_dagster_yaml = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "image_pull_policy": given["imagePullPolicy"],
        "run_k8s_config": {snake_case(name): section for name, section in given["runK8sConfig"].items()},
    }
    read = process_config(resolve_to_config_type(K8sRunLauncher.config_type()), in_dagster_yaml)
    assert read.success, read.errors

    # Refuses keys that Kubernetes' models do not have.
    config = UserDefinedDagsterK8sConfig.from_dict(read.value["run_k8s_config"])
    image = values()["dagster-user-deployments"]["deployments"][0]["image"]
    job_config = DagsterK8sJobConfig(
        job_image=f"{image['repository']}:{image['tag']}", dagster_home="/opt/dagster/dagster_home"
    )
    job = construct_dagster_k8s_job(job_config, ["dagster"], "run-1", config).to_dict()["spec"]
    pod = job["template"]["spec"]
    container = pod["containers"][0]
    assert job["backoff_limit"] == 0
    assert container["image"] == "registry.example.com/klaviyo-pipeline:1"
    assert {"name": "KLAVIYO_STAGING_DIR", "value": "/stage"}.items() <= container["env"][-1].items()
    assert [each["mount_path"] for each in container["volume_mounts"]] == ["/stage"]
    assert [each["name"] for each in pod["volumes"]] == ["stage"]


def test_values_when_dagster_reads_their_limits_then_are_those_of_the_workers():
    celery = yaml.safe_load((ROOT / "deploy" / "celery" / "dagster.yaml").read_text())
    given = values()
    assert given["concurrency"]["pools"] == {
        "granularity": celery["concurrency"]["pools"]["granularity"],
        "defaultLimit": celery["concurrency"]["pools"]["default_limit"],
    }
    assert given["dagsterDaemon"]["runRetries"]["maxRetries"] == celery["run_retries"]["max_retries"]
    assert given["dagsterWebserver"]["image"] == given["dagsterDaemon"]["image"]
