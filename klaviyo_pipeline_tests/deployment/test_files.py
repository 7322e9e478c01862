"""The image holds the project and nothing else; only the proxy can be reached; nothing of a secret is in a file."""

from __future__ import annotations

import subprocess

import pytest

from klaviyo_pipeline import environment
from klaviyo_pipeline.accounts import file as accounts
from klaviyo_pipeline.transfers.file import authentications
from klaviyo_pipeline_tests.deployment.files import ROOT, Ignored, compose, dockerfile, last_stage

PLANTED = [
    *(".env", ".env.production", "klaviyo_pipeline/.env", "authentications.yml", "config/authentications.yml"),
    "klaviyo.yml",
    *("data/klaviyo.duckdb", "data/.klaviyo.duckdb.staging/manifest.json", "klaviyo_pipeline/data.duckdb"),
    *(".git/config", ".dagster/history/runs.db", ".tmp_dagster_home_x/storage/x.db", "logs/x.log", "id_rsa"),
    *("secrets/dagster_login", "klaviyo_pipeline/__pycache__/x.pyc", ".venv/bin/python", "transfers/shop.yml"),
]


def tracked() -> list[str]:
    return subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")[
        :-1
    ]


@pytest.mark.parametrize("path", PLANTED)
def test_image_when_a_secret_or_data_lies_in_the_folder_then_leaves_it_out(path: str) -> None:
    assert path in Ignored()


def test_image_has_the_package_and_what_installs_it_and_nothing_else() -> None:
    ignored = Ignored()
    kept = {path for path in tracked() if path not in ignored}
    package = {path for path in tracked() if path.startswith("klaviyo_pipeline/")}
    assert kept == package | {
        "pyproject.toml",
        "constraints.txt",
        "PACKAGE.md",
        "LICENSE",
        "workspace.yaml",
    }


def test_dockerfile_copies_by_name_only_what_is_there_and_not_ignored() -> None:
    ignored = Ignored()
    copied = [each for each in dockerfile() if each.name in {"COPY", "ADD"} and "from" not in each.flags]
    assert copied
    for each in copied:
        for source in each.words[:-1]:
            assert source.strip("./"), "the folder as a whole is not copied"
            assert (ROOT / source).exists()
            assert source not in ignored


def test_dockerfile_runs_as_a_user_and_has_no_secret() -> None:
    instructions = dockerfile()
    users = [each.words[0] for each in last_stage(instructions) if each.name == "USER"]
    assert users
    assert users[-1] not in {"root", "0"}
    after = [
        each.name for each in instructions[instructions.index(next(e for e in instructions if e.name == "USER")) :]
    ]
    assert "RUN" not in after
    assert "ARG" not in {each.name for each in instructions}
    given = {word.partition("=")[0] for each in instructions if each.name == "ENV" for word in each.words}
    assert given == {"PATH", "PYTHONUNBUFFERED", "PYTHONTZPATH", "DAGSTER_HOME", "KLAVIYO_DUCKDB_PATH"}


def test_dockerfile_installs_the_versions_of_the_constraints() -> None:
    installs = [each.words for each in dockerfile() if each.name == "RUN" and "install" in each.words]
    assert [words for words in installs if "/venv/bin/pip" in words and "constraints.txt" in words]


def test_compose_only_the_proxy_has_a_port_and_on_this_machine_only() -> None:
    services = compose()["services"]
    assert {name for name, service in services.items() if service.get("ports")} == {"proxy"}
    assert all(port.startswith("127.0.0.1:") for port in services["proxy"]["ports"])
    assert {
        name for name, service in services.items() if service.get("network_mode") or service.get("privileged")
    } == set()


def test_compose_webserver_and_daemon_share_image_settings_and_volumes() -> None:
    services = compose()["services"]
    webserver, daemon = services["webserver"], services["daemon"]
    for key in ("image", "build", "env_file", "environment", "volumes"):
        assert webserver[key] == daemon[key]
    mounted = {volume.split(":")[0]: volume.split(":")[1] for volume in daemon["volumes"]}
    named = set(compose()["volumes"])
    assert named == {"dagster", "data"} <= set(mounted)
    environment = daemon["environment"]
    assert environment["DAGSTER_HOME"] == mounted["dagster"]
    assert environment["KLAVIYO_DUCKDB_PATH"].startswith(f"{mounted['data']}/")
    made = next(each for each in dockerfile() if each.name == "RUN" and "useradd" in each.words)
    assert {mounted["dagster"], mounted["data"]} <= set(made.words), "the user of the image owns the volumes"
    assert next(each for each in dockerfile() if each.name == "CMD").words == tuple(webserver["command"])


def test_compose_has_no_secret_in_it() -> None:
    for service in compose()["services"].values():
        environment = service.get("environment", {})
        assert not {"KLAVIYO_API_KEY", "KLAVIYO_ALERT_WEBHOOK"} & environment.keys()
    assert compose()["secrets"]["dagster_login"]["file"] == "./secrets/dagster_login"
    ignored_by_git = (ROOT / ".gitignore").read_text().splitlines()
    assert {"/secrets/", ".env"} <= set(ignored_by_git)


def test_compose_variables_are_known() -> None:
    files = (accounts.FILE, authentications.FILE)
    known = {variable.name for variable in (*environment.VARIABLES, *files)} | {"DAGSTER_HOME"}
    assert compose()["services"]["daemon"]["environment"].keys() <= known
