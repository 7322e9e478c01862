"""The ASGI application: routes a request, checks it in Klaviyo's order, answers, counts."""

import asyncio
import time
import uuid
from collections.abc import Callable
from random import Random

from klaviyo_pipeline.sandbox import admin
from klaviyo_pipeline.sandbox.api import errors
from klaviyo_pipeline.sandbox.api.catalogue import at_path, contract, route
from klaviyo_pipeline.sandbox.api.contracts import Endpoint
from klaviyo_pipeline.sandbox.api.documents import Call
from klaviyo_pipeline.sandbox.api.endpoints import handler
from klaviyo_pipeline.sandbox.api.errors import ApiError
from klaviyo_pipeline.sandbox.api.limits import Headers, RateLimits
from klaviyo_pipeline.sandbox.api.messages import Receive, Request, Response, Scope, Send, deliver, read_body
from klaviyo_pipeline.sandbox.api.query import limit_of, parse_query
from klaviyo_pipeline.sandbox.api.revisions import Answering, answering, gone
from klaviyo_pipeline.sandbox.counts import Counts
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import SECOND
from klaviyo_pipeline.sandbox.faults.plan import Faults, NoFaults
from klaviyo_pipeline.sandbox.options import ServerOptions

_RETIRED = "This API has been retired and is no longer in service."
_RETIRED_RELATED = {"metrics", "profiles"}


class Sandbox:
    """A Klaviyo over a store. Callable by any ASGI server."""

    def __init__(
        self,
        store: Store,
        options: ServerOptions | None = None,
        *,
        faults: Faults | None = None,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.store = store
        self.options = options or ServerOptions()
        self.faults: Faults = faults or NoFaults()
        self.counts = Counts()
        self._clock = clock or time.time
        self.limits = RateLimits(self._clock, enforced=self.options.rate_limits)
        self._ids = Random(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return
        body = await read_body(receive) if scope["method"] != "GET" else b""
        request = Request.of(scope, body)
        if request.path.startswith("/sandbox/"):
            await deliver(admin.answer(self, request), send)
            return
        counts = self.counts
        counts.open += 1
        counts.open_maximum = max(counts.open_maximum, counts.open)
        try:
            if self.options.latency_ms:
                await asyncio.sleep(self.options.latency_ms / 1000)
            operation, found = self._route(request)
            faults = self.faults
            faults.before(operation, request, self.store)
            response = await faults.instead(operation, request)
            if response is None:
                response = self.respond(request, operation, found)
            counts.by_operation[operation, response.status] += 1
            counts.bytes += len(response.body)
            await faults.deliver(operation, request, response, send)
        finally:
            counts.open -= 1

    def plan_faults(self, faults: Faults) -> None:
        """From now on these go wrong; whatever hangs is let go."""
        self.faults, before = faults, self.faults
        before.release()

    def respond(self, request: Request, operation: str, found: "tuple[Endpoint, str] | None") -> Response:
        """Klaviyo's answer."""
        if request.path.startswith(("/api/v1/", "/api/v2/")):
            return Response.json({"message": _RETIRED}, status=410)
        headers = self._common_headers(request)
        try:
            return self._checked(request, found, headers)
        except ApiError as error:
            error_id = uuid.UUID(int=self._ids.getrandbits(128), version=4)
            if error.status == 429:
                headers = [header for header in headers if not header[0].startswith(b"ratelimit")]
            replaced = {name for name, _ in error.headers}
            kept = [header for header in headers if header[0] not in replaced]
            return Response(error.status, error.document(error_id), (*kept, *error.headers))

    def _common_headers(self, request: Request) -> list[tuple[bytes, bytes]]:
        """What every answer has (that of `Vary` and the language is inferred)."""
        request_id = uuid.UUID(int=self._ids.getrandbits(128), version=4)
        headers = [
            (b"x-klaviyo-req-id", str(request_id).encode()),
            (b"cid", self.store.account["id"].encode()),
            (b"content-language", b"en-us"),
            (b"vary", b"Accept-Language, Cookie, Origin"),
        ]
        segments = request.path.removeprefix("/api/").rstrip("/").split("/")
        methods = at_path(segments)
        return [*headers, errors.allowing(methods)] if methods else headers

    def _route(self, request: Request) -> tuple[str, tuple[Endpoint, str] | None]:
        if not request.path.startswith("/api/"):
            return "unknown", None
        segments = request.path.removeprefix("/api/").rstrip("/").split("/")
        found = route(request.method, segments)
        return (found[0].operation if found else "unknown"), found

    def _checked(
        self, request: Request, found: "tuple[Endpoint, str] | None", headers: list[tuple[bytes, bytes]]
    ) -> Response:
        scopes = self._authenticate(request)
        answer = answering(request.headers, self.options.missing_revision)
        headers.append((b"x-klaviyo-api-revision", answer.revision.encode()))
        if found is None:
            raise self._nowhere(request, answer)
        endpoint, found_id = found
        taken = contract(endpoint.operation, answer.revision)
        if taken is None:
            raise errors.not_found("No valid revisions found for method")
        answer_with = handler(self.store, endpoint)
        if answer_with is None:
            raise errors.not_in_the_sandbox(request.method, endpoint.path)
        lacking = [scope for scope in taken.scopes if scopes and scope not in scopes]
        if lacking:
            raise errors.missing_scope(lacking)
        rates: Headers = self.limits.spend(endpoint.operation, limit_of(taken, request))
        headers.extend(rates)
        query = parse_query(request, taken, answer.revision)
        query = self.faults.ask(endpoint.operation, request, query)
        with self.store.lock:
            call = Call.of(self.store, request, query, answer.revision, found_id, endpoint.operation, self._now())
            body = answer_with(call)
        return Response(200, body, tuple(headers))

    def _now(self) -> float:
        """The time of the answers, never before the end of the history."""
        return max(self._clock(), self.store.until / SECOND)

    def _authenticate(self, request: Request) -> frozenset[str]:
        given = request.headers.get("authorization")
        if given is None:
            raise errors.no_key()
        kind, _, key = given.partition(" ")
        accepted = {"Klaviyo-API-Key": self.options.keys, "Bearer": self.options.tokens}.get(kind, {})
        if key not in accepted:
            raise errors.wrong_key()
        return accepted[key]

    def _nowhere(self, request: Request, answer: Answering) -> ApiError:
        segments = request.path.rstrip("/").split("/")
        if segments[1:2] != ["api"]:
            return errors.not_found("The requested resource could not be found.")
        if answer.fell_forward and segments[2:3] == ["events"] and segments[-1] in _RETIRED_RELATED:
            return gone("This endpoint is no longer available.")
        methods = at_path(segments[2:])
        if methods:
            return errors.method_not_allowed(request.method, methods)
        return errors.not_found("The requested resource could not be found.")
