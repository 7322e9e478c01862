"""Authentication and scopes."""

import re
from collections.abc import Callable

from klaviyo_pipeline.sandbox.api.catalogue import contract
from klaviyo_pipeline.sandbox.api.contracts import Endpoint
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.options import DEFAULT_KEY, ServerOptions
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.sandbox.client import Client
from klaviyo_pipeline_tests.sandbox.served import SERVED


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


def test_bearer_takes_access_tokens_and_no_private_key(fresh: Callable[..., Sandbox]) -> None:
    client = Client(fresh(ServerOptions(tokens={"access": frozenset()})), key=None)
    assert client.get("/api/accounts", authorization="Bearer access").status == 200
    assert client.get("/api/accounts", authorization=f"Bearer {DEFAULT_KEY}").status == 401
    assert client.get("/api/accounts", authorization=f"Basic {DEFAULT_KEY}").status == 401


def test_each_scope_is_needed(fresh: Callable[..., Sandbox]) -> None:
    for endpoint in SERVED:
        with case(endpoint.operation):
            scopes = _scopes(endpoint)
            path = "/api/" + endpoint.path.replace("{id}", "NOPE01")
            everything = {scope for other in SERVED for scope in _scopes(other)}
            for missing in scopes:
                app = fresh(ServerOptions(keys={"limited": frozenset(everything - {missing})}))
                answer = Client(app, "2026-10-15", "limited").send(endpoint.method, path)
                assert (answer.status, answer.error["code"]) == (403, "permission_denied")
                assert missing in answer.error["detail"]
            app = fresh(ServerOptions(keys={"limited": frozenset(scopes)}))
            answer = Client(app, "2026-10-15", "limited").send(endpoint.method, path)
            assert answer.status not in (401, 403)


def _scopes(endpoint: Endpoint) -> tuple[str, ...]:
    taken = contract(endpoint.operation, "2026-10-15")
    assert taken is not None
    return taken.scopes
