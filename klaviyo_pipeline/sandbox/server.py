"""Running a sandbox: until interrupted, in a background thread, or in a process of its own."""

import contextlib
import gc
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from urllib.request import Request as UrlRequest
from urllib.request import urlopen

import uvicorn

from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.data.rows import Value
from klaviyo_pipeline.sandbox.data.shop import generate_shop
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.faults.plan import Faults
from klaviyo_pipeline.sandbox.options import DEFAULT_KEY, SandboxOptions, ServerOptions

_READY_PREFIX = "sandbox ready: "


@dataclass(frozen=True, slots=True)
class RunningSandbox:
    """A sandbox in this process."""

    url: str
    api_key: str
    store: Store
    app: Sandbox

    def counts(self) -> dict[str, Any]:
        """Requests by endpoint and status, as `/sandbox/requests` has them."""
        return self.app.counts.report()

    def reset_counts(self) -> None:
        """Start counting afresh, and open all rate windows."""
        self.app.counts.reset()
        self.app.limits.reset()


@dataclass(frozen=True, slots=True)
class SandboxProcess:
    """A sandbox in a process of its own, which shares no interpreter lock with the client under test."""

    url: str
    api_key: str
    pid: int

    def counts(self) -> dict[str, Any]:
        """Requests by endpoint and status."""
        return self.admin("GET", "requests")  # type: ignore[no-any-return]

    def reset_counts(self) -> None:
        """Start counting afresh, and open all rate windows."""
        self.admin("POST", "requests")

    def admin(self, method: str, path: str, payload: object = None) -> Value:
        """Call an admin path (below `/sandbox/`)."""
        body = json.dumps(payload).encode() if payload is not None else None
        request = UrlRequest(f"{self.url}/sandbox/{path}", data=body, method=method)  # noqa: S310
        with urlopen(request, timeout=60) as response:  # noqa: S310
            return json.load(response)


def build_sandbox(
    options: SandboxOptions | None = None,
    server: ServerOptions | None = None,
    *,
    faults: Faults | None = None,
    clock: Callable[[], float] | None = None,
) -> Sandbox:
    """Generate the shop and the application over it."""
    store = Store(generate_shop(options or SandboxOptions()))
    return Sandbox(store, server, faults=faults, clock=clock)


@contextlib.contextmanager
def running_sandbox(
    options: SandboxOptions | None = None,
    server: ServerOptions | None = None,
    *,
    faults: Faults | None = None,
    clock: Callable[[], float] | None = None,
    port: int = 0,
) -> Iterator[RunningSandbox]:
    """A sandbox in a background thread on a free port.

    Example:
        >>> with running_sandbox(SandboxOptions(events=100, until="2026-11-01")) as sandbox:
        ...     requests.get(f"{sandbox.url}/api/events", headers=...)
    """
    app = build_sandbox(options, server, faults=faults, clock=clock)
    listening = _listen("127.0.0.1", port)
    runner = _uvicorn(app)
    thread = threading.Thread(target=runner.run, args=([listening],), name="klaviyo-sandbox", daemon=True)
    thread.start()
    try:
        yield RunningSandbox(_url(listening), next(iter(app.options.keys)), app.store, app)
    finally:
        app.faults.release()
        runner.should_exit = True
        runner.force_exit = True
        thread.join(timeout=10)
        listening.close()


@contextlib.contextmanager
def sandbox_process(*arguments: str) -> Iterator[SandboxProcess]:
    """A sandbox as `python -m klaviyo_pipeline.sandbox <arguments>` on a free port.

    Example:
        >>> with sandbox_process("--events", "1000000", "--no-rate-limits") as sandbox:
        ...     print(sandbox.url)
    """
    command = [sys.executable, "-m", "klaviyo_pipeline.sandbox", "--port", "0", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        try:
            yield _await_ready(process)
        finally:
            process.terminate()
            process.wait(timeout=10)


def _await_ready(process: "subprocess.Popen[str]") -> SandboxProcess:
    if process.stdout is None:
        raise RuntimeError("the sandbox was started without a pipe")
    for line in process.stdout:
        if line.startswith(_READY_PREFIX):
            ready = json.loads(line.removeprefix(_READY_PREFIX))
            return SandboxProcess(ready["url"], ready["key"], process.pid)
    raise RuntimeError(f"the sandbox ended with code {process.wait()} before it was ready")


def run(
    options: SandboxOptions,
    server: ServerOptions,
    *,
    host: str = "127.0.0.1",
    port: int = 8765,
    faults: Faults | None = None,
    say: Callable[[str], object] = print,
) -> None:
    """Serve until interrupted. Says its address and key first, for people and (one line) for programs."""
    listening = _listen(host, port)
    app = build_sandbox(options, server, faults=faults)
    gc.collect()
    gc.freeze()
    url = _url(listening)
    say(f"Klaviyo sandbox on {url}/api with {len(app.store.events):,} events, {len(app.store.profiles):,} people.")
    say("Keys: " + ", ".join(server.keys or {DEFAULT_KEY: frozenset()}))
    say(_READY_PREFIX + json.dumps({"url": url, "key": next(iter(server.keys))}))
    _uvicorn(app).run([listening])


def _listen(host: str, port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(1024)
    return listening


def _url(listening: socket.socket) -> str:
    host, port = listening.getsockname()[:2]
    return f"http://{host}:{port}"


def _uvicorn(app: Sandbox) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            lifespan="off",
            access_log=False,
            log_level="warning",
            server_header=False,
            date_header=False,
            timeout_keep_alive=60,
            backlog=1024,
        )
    )
