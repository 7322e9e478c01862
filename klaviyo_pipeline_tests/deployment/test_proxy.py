"""The commands of compose.yaml as processes: the web server, and the proxy in front of it, attacked from a web page."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests

from klaviyo_pipeline.orchestration.automation.reloading import reload_or_advice
from klaviyo_pipeline.orchestration.dagster_home import SETTINGS
from klaviyo_pipeline_tests.deployment.files import ROOT, compose, filled_in, without_default
from klaviyo_pipeline_tests.hostile.listener import Listener, listening

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
KEY = "pk_of_the_environment_0815"
PASTED = "pk_pasted_into_the_launchpad"
LOGIN = "me:correct-horse"
LAUNCH = """mutation Launch($p: ExecutionParams!) { launchPipelineExecution(executionParams: $p) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }"""
RUNS = "{ runsOrError { ... on Runs { results { runId status runConfigYaml } } } }"
pytestmark = pytest.mark.long
needs_nginx = pytest.mark.skipif(not Path(NGINX).exists(), reason="nginx is not installed: apt-get install nginx-light")


@dataclass
class Stage:
    """A web server with an empty storage, and an attacker who listens."""

    url: str
    home: Path
    attacker: Listener
    environment: dict[str, str]

    def stored(self, text: str) -> list[str]:
        """Files of Dagster's storage that have a text in them."""
        found = [path for path in self.home.rglob("*") if path.is_file()]
        return [str(path) for path in found if text.encode() in path.read_bytes()]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@contextmanager
def process(command: list[str], environment: dict[str, str], log: Path, ready: str, folder: Path) -> Iterator[None]:
    """A process from when it answers at an address until the end of the block."""
    with log.open("wb") as output:
        running = subprocess.Popen(command, env=environment, cwd=folder, stdout=output, stderr=output)
    try:
        deadline = time.monotonic() + 200
        while True:
            try:
                requests.get(ready, timeout=30)
                break
            except requests.ConnectionError:
                assert running.poll() is None, log.read_text()[-3000:]
                assert time.monotonic() < deadline, log.read_text()[-3000:]
                time.sleep(0.1)
        yield
    finally:
        running.terminate()
        running.wait(timeout=60)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("deployed")
    home = folder / "dagster"
    home.mkdir()
    shutil.copy(SETTINGS, home)
    shutil.copy(ROOT / "workspace.yaml", folder)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("KLAVIYO_", "DAGSTER_"))}
    service = compose()["services"]["webserver"]
    places = {"/opt/dagster": str(home), "/data": str(folder / "data"), "/config": str(folder / "config")}
    for name, value in service["environment"].items():
        place = next(inside for inside in places if value.startswith(inside))
        environment[name] = value.replace(place, places[place], 1)
    environment |= {"KLAVIYO_API_KEY": KEY, "KLAVIYO_BASE_URL": "http://127.0.0.1:9"}
    port = str(free_port())
    program, *arguments = service["command"]
    arguments = [{"0.0.0.0": "127.0.0.1", "3000": port}.get(each, each) for each in arguments]
    command = [str(Path(sys.executable).with_name(program)), *arguments]
    url = f"http://127.0.0.1:{port}"
    listener = listening()
    with process(command, environment, folder / "webserver.log", f"{url}/server_info", folder):
        yield Stage(url, home, next(listener), environment)
    next(listener, None)


@pytest.fixture(scope="module")
def proxy(stage: Stage, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """nginx by the template of the deployment, under the host name of compose.yaml but for the port."""
    folder = tmp_path_factory.mktemp("nginx")
    folder.chmod(0o755)
    hashed = subprocess.run(
        ["openssl", "passwd", "-apr1", LOGIN.split(":")[1]], capture_output=True, text=True, check=True
    ).stdout.strip()
    (folder / "login").write_text(f"{LOGIN.split(':')[0]}:{hashed}\n")
    port = free_port()
    given = compose()["services"]["proxy"]["environment"]
    values = {name: without_default(value) for name, value in given.items()} | {
        "DAGSTER_HOST": f"127.0.0.1:{port}",
        "DAGSTER_UPSTREAM": stage.url.removeprefix("http://"),
        "DAGSTER_LOGIN_FILE": str(folder / "login"),
        "PROXY_LISTEN": f"127.0.0.1:{port}",
    }
    assert values.keys() == given.keys(), "the test fills in what compose.yaml does"
    (folder / "site.conf").write_text(filled_in((ROOT / "deploy/nginx.conf.template").read_text(), values))
    paths = "".join(
        f"{name}_temp_path {folder}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1; events {{}}\n"
        f"{'user root;' if os.getuid() == 0 else ''}\n"
        f"http {{ access_log {folder}/access.log; {paths} include {folder}/site.conf; }}\n"
    )
    command = [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder)]
    url = f"http://127.0.0.1:{port}"
    with process(command, dict(os.environ), folder / "output.log", url, folder):
        yield url


def launch(run_config: dict[str, Any], job: str = "klaviyo_preview") -> dict[str, Any]:
    selector = {
        "repositoryLocationName": "klaviyo_pipeline",
        "repositoryName": "__repository__",
        "pipelineName": job,
    }
    return {"query": LAUNCH, "variables": {"p": {"selector": selector, "runConfigData": json.dumps(run_config)}}}


def as_a_web_page_does(url: str, way: str, body: dict[str, Any], **headers: str) -> requests.Response:
    """A request that a browser sends for any page, without asking first.

    Dagster takes a query in the address, or JSON where "application/json" stands anywhere in the content type.
    """
    in_address = f"{url}/graphql?query={quote(body['query'])}&variables={quote(json.dumps(body['variables']))}"
    if way == "GET":
        return requests.get(in_address, headers=headers, timeout=60)
    if way == "POST":
        return requests.post(in_address, "", headers={"Content-Type": "text/plain", **headers}, timeout=60)
    disguised = {"Content-Type": "text/plain; x=application/json", **headers}
    return requests.post(f"{url}/graphql", json.dumps(body), headers=disguised, timeout=60)


def evil(stage: Stage) -> dict[str, Any]:
    return launch({"resources": {"klaviyo": {"config": {"base_url": stage.attacker.url}}}})


@pytest.mark.parametrize("way", ["GET", "POST", "disguised POST"])
def test_web_page_that_reaches_dagster_cannot_send_the_key_anywhere(stage: Stage, way: str) -> None:
    """Without any proxy: Dagster takes the request, and the launch is refused."""
    answered = as_a_web_page_does(stage.url, way, evil(stage)).json()["data"]["launchPipelineExecution"]
    assert answered["__typename"] == "PythonError"
    assert "Klaviyo's address comes from the environment" in answered["message"]
    assert stage.attacker.heard == []
    assert runs(stage) == []


def resource(name: str, **config: Any) -> dict[str, Any]:
    return {"resources": {name: {"config": config}}}


def previewing(**config: Any) -> dict[str, Any]:
    return {"ops": {"show_first_rows": {"config": config}}}


def of_asset(**config: Any) -> dict[str, Any]:
    return {"ops": {"klaviyo__lists": {"config": config}}}


REDIRECTING: dict[str, dict[str, Any]] = {
    "another variable as the key": resource("klaviyo", api_key={"env": "PATH"}),
    "the key as the revision": resource("klaviyo", revision={"env": "KLAVIYO_API_KEY"}),
    "the key as a retry limit": resource("klaviyo", retry_limit={"env": "KLAVIYO_API_KEY"}),
    "the key as a memory limit": resource("duckdb", memory_limit={"env": "KLAVIYO_API_KEY"}),
    "the database": resource("duckdb", database="FOLDER/x.duckdb"),
    "the stage": resource("duckdb", staging_dir="FOLDER"),
    "the spilling": resource("duckdb", connection_config={"temp_directory": "FOLDER"}),
    "the key as a data source": previewing(source={"env": "KLAVIYO_API_KEY"}),
    "the key as an option": previewing(
        source="lists", options={"x": {"env": "KLAVIYO_API_KEY"}}, transfer={"env": "X"}
    ),
    "an account by a variable": previewing(authentication={"env": "KLAVIYO_API_KEY"}),
    "an account with an address": previewing(authentication={"base_url": "ATTACKER", "api_key": {"env": "PATH"}}),
    "a webhook": resource("webhook", address="ATTACKER"),
    "the table by a variable": of_asset(table={"env": "KLAVIYO_API_KEY"}),
    "the database of an asset": of_asset(database="FOLDER/x.duckdb"),
}


@pytest.mark.parametrize("way", ["GET", "disguised POST"])
@pytest.mark.parametrize("what", sorted(REDIRECTING))
def test_web_page_that_redirects_anything_is_refused_and_nothing_is_sent_stored_or_written(
    stage: Stage, tmp_path: Path, what: str, way: str
) -> None:
    text = json.dumps(REDIRECTING[what]).replace("ATTACKER", stage.attacker.url).replace("FOLDER", str(tmp_path))
    job = "klaviyo_weekly" if "klaviyo__lists" in text else "klaviyo_preview"
    body = launch(json.loads(text), job)
    body["variables"]["p"]["executionMetadata"] = {"tags": [{"key": "klaviyo/base_url", "value": stage.attacker.url}]}

    answered = as_a_web_page_does(stage.url, way, body)

    told = answered.json()["data"]["launchPipelineExecution"]
    assert told["__typename"] in {"PythonError", "RunConfigValidationInvalid"}, told
    assert KEY not in answered.text
    assert runs(stage) == []
    assert stage.attacker.heard == []
    assert list(tmp_path.iterdir()) == []
    assert stage.stored(KEY) == []


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"api_key": PASTED}, "never from run config"),
        ({"api_key": {"env": "KLAVIYO_API_KEY"}}, "never from run config"),
    ],
)
def test_key_in_the_launchpad_is_refused_and_stored_nowhere(stage: Stage, config: dict[str, Any], says: str) -> None:
    body = launch({"resources": {"klaviyo": {"config": config}}})
    answered = as_a_web_page_does(stage.url, "POST", body)
    assert says in answered.json()["data"]["launchPipelineExecution"]["message"]
    assert PASTED not in answered.text
    assert KEY not in answered.text
    assert runs(stage) == []
    assert stage.stored(PASTED) == stage.stored(KEY) == []


def test_account_when_added_to_the_file_then_a_reload_that_is_asked_for_has_its_jobs(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = "{ repositoriesOrError { ... on RepositoryConnection { nodes { jobs { name } } } } }"
    file = Path(stage.environment["KLAVIYO_ACCOUNTS"])
    file.parent.mkdir(exist_ok=True)
    file.write_text("accounts:\n  brand: {api_key_env: BRAND_KEY, sources: [lists]}\n")
    monkeypatch.setenv("KLAVIYO_DAGSTER_URL", stage.url)
    try:
        assert reload_or_advice() == f"{stage.url} has reloaded the code location klaviyo_pipeline."
        answered = requests.post(f"{stage.url}/graphql", json={"query": jobs}, timeout=60).json()
    finally:
        file.unlink()
        reload_or_advice()

    (repository,) = answered["data"]["repositoriesOrError"]["nodes"]
    assert {"brand_daily", "klaviyo_daily"} <= {job["name"] for job in repository["jobs"]}


def test_reload_when_dagster_cannot_be_reached_then_the_message_says_what_a_person_does(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("KLAVIYO_DAGSTER_URL", raising=False)
    assert reload_or_advice().startswith("A running Dagster sees it after a reload")
    monkeypatch.setenv("KLAVIYO_DAGSTER_URL", f"http://127.0.0.1:{free_port()}")
    said = reload_or_advice()
    assert "did not reload its code location (URLError" in said
    assert "Deployment, Reload" in said


def runs(stage: Stage) -> list[dict[str, str]]:
    answered = requests.post(f"{stage.url}/graphql", json={"query": RUNS}, timeout=60)
    return answered.json()["data"]["runsOrError"]["results"]


def me(**headers: str) -> dict[str, str]:
    return {"Authorization": f"Basic {base64.b64encode(LOGIN.encode()).decode()}", **headers}


@needs_nginx
@pytest.mark.parametrize("path", ["/", "/graphql", "/server_info", "/runs", "/download_debug/x"])
def test_proxy_when_nobody_has_logged_in_then_asks(proxy: str, path: str) -> None:
    answered = requests.get(proxy + path, timeout=60)
    assert answered.status_code == (405 if path == "/graphql" else 401)
    assert requests.get(proxy + path, headers={"Authorization": "Basic bWU6d3Jvbmc="}, timeout=60).status_code in {
        401,
        405,
    }


@needs_nginx
def test_proxy_when_logged_in_then_the_ui_and_its_graphql_pass(proxy: str) -> None:
    page = requests.get(proxy, headers=me(), timeout=60)
    assert page.status_code == 200
    assert "Dagster" in page.text
    own = me(Origin=proxy, **{"Sec-Fetch-Site": "same-origin"})
    asked = requests.post(f"{proxy}/graphql", json={"query": "{ version }"}, headers=own, timeout=60)
    assert asked.json()["data"]["version"]


@needs_nginx
@pytest.mark.parametrize("path", ["/", "/graphql"])
@pytest.mark.parametrize("host", ["evil.example", "localhost", "127.0.0.1", "127.0.0.1:1"])
def test_proxy_when_the_host_is_another_then_is_refused_before_the_login(proxy: str, host: str, path: str) -> None:
    """A name of the attacker's that leads to this machine (DNS rebinding)."""
    assert requests.get(proxy + path, headers=me(Host=host), timeout=60).status_code == 421


ATTACKS = {
    "mutation by GET": ("GET", {}, 405),
    "mutation by GET of another site": ("GET", {"Sec-Fetch-Site": "cross-site"}, 403),
    "text/plain": ("POST", {}, 415),
    "text/plain disguised as JSON": ("disguised POST", {}, 415),
    "JSON of another origin, in the body": (
        "disguised POST",
        {"Origin": "https://evil.example", "Content-Type": "application/json"},
        403,
    ),
    "text/plain of another origin": ("POST", {"Origin": "https://evil.example"}, 403),
    "JSON of another origin": ("POST", {"Origin": "https://evil.example", "Content-Type": "application/json"}, 403),
    "JSON of a page without an origin": ("POST", {"Origin": "null", "Content-Type": "application/json"}, 403),
    "JSON of another site": ("POST", {"Sec-Fetch-Site": "same-site", "Content-Type": "application/json"}, 403),
    "a form": ("POST", {"Content-Type": "application/x-www-form-urlencoded"}, 415),
    "a type that begins alike": ("POST", {"Content-Type": "application/jsonp"}, 415),
    "no type": ("POST", {"Content-Type": ""}, 415),
}


@needs_nginx
@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_proxy_when_another_page_uses_the_login_of_the_browser_then_is_refused(
    proxy: str, stage: Stage, attack: str
) -> None:
    way, headers, status = ATTACKS[attack]
    body = launch({"ops": {"show_first_rows": {"config": {"source": "lists"}}}})
    assert as_a_web_page_does(proxy, way, body, **me(**headers)).status_code == status
    assert runs(stage) == []


@needs_nginx
@pytest.mark.parametrize("path", ["/graphql/", "//graphql", "/%67raphql", "/GraphQL", "/x/../graphql", "/graphql?"])
def test_proxy_when_the_path_is_spelled_otherwise_then_the_same_holds(proxy: str, path: str) -> None:
    request = requests.Request("GET", proxy, headers=me()).prepare()
    request.url = f"{proxy}{path}{'' if path.endswith('?') else '?'}query=mutation"
    with requests.Session() as session:
        assert session.send(request, timeout=60).status_code == 405


@needs_nginx
@pytest.mark.parametrize("path", ["/", "/report_asset_materialization/klaviyo/lists", "/report_asset_check/x"])
def test_proxy_when_something_else_is_posted_then_is_refused(proxy: str, path: str) -> None:
    assert requests.post(proxy + path, "{}", headers=me(), timeout=60).status_code == 403


@needs_nginx
def test_launch_from_dagsters_own_pages_passes_the_proxy_and_the_daemon_runs_it(
    proxy: str, stage: Stage, tmp_path: Path
) -> None:
    """The last of this file: after it there is a run."""
    body = launch({"ops": {"show_first_rows": {"config": {"source": "evnts"}}}})
    answered = requests.post(f"{proxy}/graphql", json=body, headers=me(Origin=proxy), timeout=60).json()
    assert answered["data"]["launchPipelineExecution"]["__typename"] == "LaunchRunSuccess"
    program, *arguments = compose()["services"]["daemon"]["command"]
    with (tmp_path / "daemon.log").open("wb") as log:
        command = [str(Path(sys.executable).with_name(program)), *arguments]
        daemon = subprocess.Popen(command, env=stage.environment, cwd=stage.home.parent, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 200
        while runs(stage)[0]["status"] != "FAILURE":
            assert daemon.poll() is None
            assert time.monotonic() < deadline, (tmp_path / "daemon.log").read_text()[-3000:]
            time.sleep(0.2)
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
    assert stage.stored(KEY) == []
