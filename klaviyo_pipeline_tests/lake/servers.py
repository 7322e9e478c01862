"""A Postgres and an S3-speaking server of the tests' own, on loopback."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import requests

USER, PASSWORD = "klaviyo", "p-ss/w0rd&of=postgres"
_NUMBERS = count(1)


@dataclass(frozen=True)
class Postgres:
    """A running server. Its password is in PGPASSWORD, as a deployment has it."""

    programs: Path
    port: int

    def database(self) -> str:
        """The address of a new database, for libpq."""
        name = f"lake_{os.getpid()}_{next(_NUMBERS)}"
        self.run("createdb", name)
        return f"dbname={name} host=127.0.0.1 port={self.port} user={USER}"

    def run(self, program: str, *arguments: str) -> str:
        """The output of one of Postgres's own programs."""
        where = ("-h", "127.0.0.1", "-p", str(self.port), "-U", USER)
        done = subprocess.run(
            [self.programs / program, *where, *arguments],
            check=True,
            capture_output=True,
            text=True,
            env={**os.environ, "PGPASSWORD": PASSWORD},
        )
        return done.stdout


def postgres_programs() -> Path:
    """Where Postgres's programs are: Debian has them in no PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    program = str(found[-1]) if found else shutil.which("postgres")
    assert program, "There is no Postgres server here. `make test-lake` installs Debian's package."
    return Path(program).parent


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Runs a server that keeps nothing. It refuses to run as root, so then it runs as nobody."""
    programs, owner = postgres_programs(), "nobody" if os.geteuid() == 0 else None
    who = {"user": owner, "group": "nogroup", "extra_groups": []} if owner else {}
    folder = Path(tempfile.mkdtemp(prefix="klaviyo_pipeline_postgres_"))
    try:
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if owner:
            for path in (folder, secret):
                shutil.chown(path, owner)
        data = folder / "data"
        initdb = ["initdb", "-D", data, "-U", USER, "-A", "scram-sha-256", f"--pwfile={secret}", "-E", "UTF8"]
        subprocess.run(
            [programs / initdb[0], *initdb[1:], "--no-sync"], check=True, capture_output=True, cwd="/", **who
        )
        port = free_port()
        settings = ["listen_addresses=127.0.0.1", "unix_socket_directories=", "fsync=off", "max_connections=200"]
        server = subprocess.Popen(
            [programs / "postgres", "-D", data, "-p", str(port), *(each for s in settings for each in ("-c", s))],
            stderr=subprocess.PIPE,
            text=True,
            cwd="/",
            **who,
        )
        try:
            _await_ready(server)
            yield Postgres(programs, port)
        finally:
            server.send_signal(signal.SIGINT)  # fast: it waits for no session
            server.wait(30)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _await_ready(server: subprocess.Popen[str]) -> None:
    assert server.stderr is not None
    said = list[str]()
    for line in server.stderr:
        said.append(line)
        if "ready to accept connections" in line:
            # What it says later must be read, or the server waits.
            threading.Thread(target=deque, args=(server.stderr, 0), daemon=True).start()
            return
    raise AssertionError("".join(said))


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def redis() -> Iterator[str]:
    """The address of a server that keeps nothing on disk."""
    program = shutil.which("redis-server")
    assert program, "There is no Redis server here. `make test-lake` installs Debian's package."
    port = free_port()
    command = [program, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            said = list[str]()
            for line in server.stdout:
                said.append(line)
                if "Ready to accept connections" in line:
                    break
            else:
                raise AssertionError("".join(said))
            threading.Thread(target=deque, args=(server.stdout, 0), daemon=True).start()
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            server.terminate()
            server.wait(30)


@contextmanager
def s3() -> Iterator[str]:
    """The address of a server that speaks S3 over HTTP, and that takes any key."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def bucket(address: str) -> str:
    """The name of a new bucket."""
    name = f"bucket-{os.getpid()}-{next(_NUMBERS)}"
    requests.put(f"{address}/{name}", timeout=30).raise_for_status()
    return name
