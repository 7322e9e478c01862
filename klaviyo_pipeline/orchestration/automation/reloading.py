"""Asks Dagster's web server to reload the code location, so that it sees new files."""

from __future__ import annotations

import json
from typing import Any

from klaviyo_pipeline import environment
from klaviyo_pipeline.redaction import redact

ADVICE = (
    "A running Dagster sees it after a reload of its code location: in the UI, Deployment, Reload. If you have no UI, "
    "restart dagster-daemon."
)
TIMEOUT_S = 45.0
"""Less than the minute that Dagster allows a sensor."""
_OWN_JOB = "klaviyo_preview"
"""The code locations of this project have this job."""
_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name locationOrLoadError {
  ... on RepositoryLocation { repositories { pipelines { name } } } } } } } }"""
_RELOAD = """mutation Reload($name: String!) { reloadRepositoryLocation(repositoryLocationName: $name) {
  __typename ... on WorkspaceLocationEntry { locationOrLoadError { __typename ... on PythonError { message } } }
  ... on ReloadNotSupported { message } ... on RepositoryLocationNotFound { message } } }"""


def reload_or_advice() -> str:
    """Reload the code location at the address in ``KLAVIYO_DAGSTER_URL``, and say so; else say what a person does."""
    address = environment.DAGSTER_URL.value.rstrip("/")
    if not address:
        return f"{ADVICE} With {environment.DAGSTER_URL.name} set, a reload is asked for."
    try:
        names = _own_locations(address)
        wrong = [text for name in names if (text := _reload(address, name))]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"{address} did not reload its code location ({redact(f'{type(error).__name__}: {error}')}). {ADVICE}"
    if not names or wrong:
        return f"{address} did not reload its code location. {' '.join(wrong)} {ADVICE}".replace("  ", " ")
    return f"{address} has reloaded the code location {', '.join(names)}."


def _own_locations(address: str) -> list[str]:
    entries = _ask(address, _LOCATIONS, {})["workspaceOrError"]["locationEntries"]
    return [
        entry["name"]
        for entry in entries
        for repository in (entry["locationOrLoadError"] or {}).get("repositories", ())
        if any(job["name"] == _OWN_JOB for job in repository["pipelines"])
    ]


def _reload(address: str, name: str) -> str:
    """Reload one code location; the first line of what went wrong, blank if nothing did."""
    answer = _ask(address, _RELOAD, {"name": name})["reloadRepositoryLocation"]
    loaded = answer.get("locationOrLoadError") or answer
    return "" if loaded["__typename"] == "RepositoryLocation" else str(loaded.get("message", "")).split("\n", 1)[0]


def _ask(address: str, query: str, variables: dict[str, str]) -> Any:  # noqa: ANN401 - the answer's data
    from urllib.request import Request, urlopen

    body = json.dumps({"query": query, "variables": variables}).encode()
    # The address begins with http:// or https://: the setting's parser refuses others.
    request = Request(f"{address}/graphql", body, {"Content-Type": "application/json"})  # noqa: S310
    with urlopen(request, timeout=TIMEOUT_S) as answer:  # noqa: S310
        return json.load(answer)["data"]
