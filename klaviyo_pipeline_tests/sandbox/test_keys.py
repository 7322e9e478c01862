"""Authentication and scopes."""

import re
from collections.abc import Callable

import pytest

from klaviyo_pipeline.sandbox.api.catalogue import ENDPOINTS
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.options import DEFAULT_KEY, ServerOptions
from klaviyo_pipeline_tests.sandbox.client import Client


def test_default_key_is_no_klaviyo_key() -> None:
    assert not re.search(r"pk_[A-Za-z0-9]{20,}", DEFAULT_KEY)


def test_wrong_key_is_worded_as_recorded(app: Sandbox) -> None:
    answer = Client(app, key="wrong").get("/api/accounts")
    assert answer.status == 401
    assert answer.error["code"] == "authentication_failed"
    assert answer.error["title"] == answer.error["detail"] == "Incorrect authentication credentials."
    assert answer.error["source"] == {"pointer": "/data/"}
    assert not [name for name in answer.headers if name.startswith("ratelimit")]


def test_missing_key_is_401(app: Sandbox) -> None:
    answer = Client(app, key=None).get("/api/accounts")
    assert (answer.status, answer.error["code"]) == (401, "not_authenticated")


def test_bearer_token_is_taken(app: Sandbox) -> None:
    assert Client(app, key=None).get("/api/accounts", authorization=f"Bearer {DEFAULT_KEY}").status == 200
    assert Client(app, key=None).get("/api/accounts", authorization=f"Basic {DEFAULT_KEY}").status == 401


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=lambda endpoint: endpoint.operation)
def test_each_scope_is_needed(fresh: Callable[..., Sandbox], endpoint: object) -> None:
    scopes = endpoint.scopes.split()  # type: ignore[attr-defined]
    path = "/api/" + endpoint.path.replace("{id}", "NOPE01")  # type: ignore[attr-defined]
    everything = {scope for other in ENDPOINTS for scope in other.scopes.split()}
    for missing in scopes:
        app = fresh(ServerOptions(keys={"limited": frozenset(everything - {missing})}))
        answer = Client(app, "2026-10-15", "limited").send(endpoint.method, path)  # type: ignore[attr-defined]
        assert (answer.status, answer.error["code"]) == (403, "permission_denied")
        assert missing in answer.error["detail"]
    app = fresh(ServerOptions(keys={"limited": frozenset(scopes)}))
    answer = Client(app, "2026-10-15", "limited").send(endpoint.method, path)  # type: ignore[attr-defined]
    assert answer.status not in (401, 403)
