"""Running a program and measuring it from outside: wall, CPU, peak memory, and what it says of itself."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from benchmarks.loaders.job import REPORT_PREFIX

ROOT = Path(__file__).parents[1]
_SAMPLE_S = 0.02
_TREE_EVERY = 10
"""Every so many samples the process's children are looked for too."""
# With it every start would compile all of Dagster anew; an installation by pip compiles once.
_ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
_PACKAGES = ("dagster", "duckdb", "pyarrow", "pandas", "requests", "msgspec", "dlt")


@dataclass(frozen=True)
class Run:
    """A program's run. ``report`` is what it said of itself; ``seconds`` in it leaves its imports out."""

    wall_s: float
    cpu_s: float
    peak_mb: float
    returncode: int
    report: Mapping[str, Any] = field(default_factory=dict)
    output: str = ""

    @property
    def seconds(self) -> float:
        """What the program itself took, start-up aside; the wall time if it says nothing."""
        return float(self.report.get("seconds", self.wall_s))


class Program:
    """A program under way. Its output goes to a file, so that it never waits for us to read it."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed in finish
        self._began = time.perf_counter()
        self.process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=_ENVIRONMENT | dict(environment or {}),
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._peak = 0
        self._ended = threading.Event()
        self._watch = threading.Thread(target=self._watch_memory, daemon=True)
        self._watch.start()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.kill()

    def running(self) -> bool:
        """Whether it still runs. Does not reap it, so that its resource usage can still be had."""
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None

    def finish(self, *, check: bool = True) -> Run:
        """Wait for its end.

        Raises:
            RuntimeError: if it failed, with the end of its output.
        """
        _pid, status, usage = os.wait4(self.process.pid, 0)
        wall_s = time.perf_counter() - self._began
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self._ended.set()
        self._watch.join()
        self._log.seek(0)
        output = self._log.read().decode(errors="replace")
        self._log.close()
        if check and self.process.returncode:
            raise RuntimeError(f"{self.process.args!r} ended with {self.process.returncode}:\n{output[-4000:]}")
        lines = [line for line in output.splitlines() if line.startswith(REPORT_PREFIX)]
        report = json.loads(lines[-1].removeprefix(REPORT_PREFIX)) if lines else {}
        cpu_s = usage.ru_utime + usage.ru_stime
        return Run(wall_s, cpu_s, self._peak / 1e6, self.process.returncode, report, output)

    def _watch_memory(self) -> None:
        """The kernel's own high-water mark of the process; with children, the most that all held at one time.

        Not `ru_maxrss`: on Linux a child's begins at what its parent held when it was started.
        """
        status = Path(f"/proc/{self.process.pid}/status")
        samples = 0
        while not self._ended.wait(_SAMPLE_S):
            samples += 1
            try:
                found = re.search(r"VmHWM:\s+(\d+) kB", status.read_text())
                self._peak = max(self._peak, int(found[1]) * 1024 if found else 0)
                if samples % _TREE_EVERY == 0:
                    self._peak = max(self._peak, _tree_rss(self.process.pid))
            except (OSError, psutil.Error):
                continue


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, *, check: bool = True) -> Run:
    """Run a program to its end."""
    return Program(command, environment).finish(check=check)


def warm_up() -> None:
    """Import everything once, so that bytecode is there and files are in the kernel's cache."""
    for modules in ("klaviyo_pipeline.definitions, dagster._cli, pandas", "dlt.sources.rest_api, pandas, requests"):
        run(python("-c", f"import {modules}"))


def python(*arguments: str) -> list[str]:
    """A command for this interpreter."""
    return [sys.executable, *arguments]


def machine() -> dict[str, str]:
    """The machine's facts and the versions that matter."""
    cpu = next(
        (line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    return {
        "Processor": f"{cpu}, {os.cpu_count()} cores",
        "Memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": platform.python_version(),
        "Packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
        "Commit": _commit(),
        "Load before": ", ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def _tree_rss(pid: int) -> int:
    root = psutil.Process(pid)
    children = root.children(recursive=True)
    return sum(_rss(each) for each in (root, *children)) if children else 0


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _commit() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()

    changed = git("status", "--porcelain", "--untracked-files=no", "--", "klaviyo_pipeline")
    return git("rev-parse", "--short", "HEAD") + (" with changes" if changed else "")


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "missing"
