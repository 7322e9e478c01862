"""A machine as a newcomer has it: a fresh clone, an empty home, Git, make and Python; nothing of this project's."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


def environment(home: Path, *programs: Path) -> dict[str, str]:
    """What a login gives: a home, a path that begins with these folders, and how pip reaches packages on this machine.

    Where packages come from, and pip's cache, are the machine's and not the project's; everything else is cleared.
    """
    kept = {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name == "SSL_CERT_FILE"}
    user_config = Path.home() / ".config" / "pip" / "pip.conf"
    if user_config.exists():
        kept.setdefault("PIP_CONFIG_FILE", str(user_config))
    cache = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=True
    ).stdout.strip()
    return {
        **kept,
        "PIP_CACHE_DIR": cache,
        "PIP_COMPILE": "0",  # Python compiles what is imported; pip would compile thousands of files more
        "HOME": str(home),
        "PATH": os.pathsep.join([*map(str, programs), str(Path(sys.base_prefix) / "bin"), "/usr/bin", "/bin"]),
        "LANG": "C.UTF-8",
    }


@contextmanager
def leaves_running(command: str, ready: str, folder: Path, variables: dict[str, str]) -> Iterator[str]:
    """Type a command that does not end, in a terminal of its own, and wait until it says a text; then Ctrl-C."""
    with subprocess.Popen(
        ["/bin/bash", "-c", f"exec {command}"],
        cwd=folder,
        env=variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        said: list[str] = []
        try:
            assert process.stdout
            for line in process.stdout:
                said.append(line)
                if ready in line:
                    break
            else:
                raise AssertionError("".join(said))
            yield "".join(said)
        finally:
            os.killpg(process.pid, signal.SIGINT)
            try:
                process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True)
class Newcomer:
    """Somebody with a clone of what is committed here."""

    folder: Path
    home: Path

    @classmethod
    def with_clone(cls, place: Path) -> Newcomer:
        folder, home = place / "klaviyo_pipeline", place / "home"
        home.mkdir()
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        return cls(folder, home)

    @contextmanager
    def leaves_running(self, command: str, ready: str) -> Iterator[str]:
        """Type a command that does not end, and wait until it says a text; then Ctrl-C."""
        with leaves_running(command, ready, self.folder, environment(self.home)) as said:
            yield said

    def types(self, script: str) -> subprocess.CompletedProcess[str]:
        """Type commands into one shell, which ends at the first that fails."""
        return subprocess.run(
            ["/bin/bash", "-euo", "pipefail", "-c", script],
            cwd=self.folder,
            env=environment(self.home),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
