"""One module's mutants: made and tested by Cosmic Ray, in a copy of the working tree.

The working tree is never changed. Processes that a test starts import the copy as well, through PYTHONPATH.
"""

from __future__ import annotations

import ast
import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, WorkerOutcome, WorkItem, WorkResult
from cosmic_ray.work_item import TestOutcome as Outcome

from mutation.settings import ROOT, Settings

Place = tuple[int, int]
"""A line, from 1, and a column, from 0."""
SLOWER = 4.0
"""A mutant has so many times the time of the unchanged tests, and a quarter of a minute more, before it is taken
for caught: it hangs."""
TESTS = "not ui and not lake and not newcomer"
"""The tests that run against each mutant: `make test` runs fewer cases of them."""


@dataclass(frozen=True)
class Survivor:
    """A mutant that no test noticed."""

    line: int
    operator: str
    diff: str


@dataclass(frozen=True)
class Result:
    """What came of a module's mutants."""

    module: str
    tried: int
    caught: int
    survivors: tuple[Survivor, ...]
    took_s: float

    @property
    def share(self) -> float:
        """The share that was caught, from 0 to 1."""
        return self.caught / self.tried if self.tried else 1.0


class BaselineError(Exception):
    """The tests fail without a fault."""


def run(module: str, settings: Settings, folder: Path) -> Result:
    """Test a sample of a module's mutants.

    Raises:
        BaselineError: if the tests fail on the unchanged code.
    """
    began = time.monotonic()
    place = folder / module.replace("/", "-").removesuffix(".py")
    shutil.rmtree(place, ignore_errors=True)
    tree = place / "tree"
    _copy(tree)
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", TESTS]
    command += settings.tests[module]
    environment = {"KLAVIYO_SOAK": "0.33", **os.environ, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    baseline_s = _baseline(command, tree, environment)
    config, session = place / "config.toml", place / "session.sqlite"
    config.write_text(_config(module, command, baseline_s * SLOWER + 15), encoding="utf-8")
    _cosmic_ray(["init", str(config), str(session)], tree, environment)
    with use_db(session, WorkDB.Mode.open) as database:
        chosen = _choose(tuple(database.work_items), tree / module, settings)
        skipped = [item.job_id for item in database.work_items if item.job_id not in chosen]
        database.set_multiple_results(skipped, WorkResult(WorkerOutcome.SKIPPED))
    _cosmic_ray(["exec", str(config), str(session)], tree, environment)
    with use_db(session, WorkDB.Mode.open) as database:
        done = [each for each in database.completed_work_items if each[1].worker_outcome is not WorkerOutcome.SKIPPED]
    shutil.rmtree(tree)
    survivors = tuple(sorted(_survivors(done), key=lambda each: each.line))
    return Result(module, len(done), len(done) - len(survivors), survivors, time.monotonic() - began)


def _copy(tree: Path) -> None:
    """Copy what Git tracks, and what it would track."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def _baseline(command: list[str], tree: Path, environment: dict[str, str]) -> float:
    began = time.monotonic()
    ran = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, check=False)
    if ran.returncode:
        raise BaselineError(f"The tests fail without a fault:\n{ran.stdout[-2000:]}{ran.stderr[-500:]}")
    return time.monotonic() - began


def _config(module: str, command: list[str], timeout_s: float) -> str:
    import shlex

    return (
        f'[cosmic-ray]\nmodule-path = "{module}"\ntimeout = {timeout_s:.0f}\nexcluded-modules = []\n'
        f"test-command = {shlex.join(command)!r}\n\n"
        '[cosmic-ray.distributor]\nname = "local"\n'
    )


def _cosmic_ray(arguments: list[str], tree: Path, environment: dict[str, str]) -> None:
    program = [str(Path(sys.executable).with_name("cosmic-ray")), "--verbosity", "ERROR", *arguments]
    subprocess.run(program, cwd=tree, env=environment, check=True)


def _choose(items: tuple[WorkItem, ...], path: Path, settings: Settings) -> set[str]:
    """A random sample of the mutants that can matter, spread over the lines of the module."""
    silent = tuple(_silent(path))
    shuffled = [
        item
        for item in sorted(items, key=lambda each: (each.mutations[0].start_pos, each.mutations[0].operator_name))
        if _matters(item.mutations[0], silent, settings)
    ]
    random.Random(f"{settings.seed} {path.name}").shuffle(shuffled)  # noqa: S311 - a sample, not a secret
    seen: Counter[int] = Counter()
    spread: list[tuple[int, str]] = []
    for item in shuffled:
        line = item.mutations[0].start_pos[0]
        spread.append((seen[line], item.job_id))
        seen[line] += 1
    return {job_id for _turn, job_id in sorted(spread, key=lambda each: each[0])[: settings.sample]}


def _matters(mutation: MutationSpec, silent: Sequence[tuple[Place, Place]], settings: Settings) -> bool:
    name = mutation.operator_name.removeprefix("core/")
    if any(pattern.fullmatch(name) for pattern in settings.skip):
        return False
    return not any(begin <= mutation.start_pos < end for begin, end in silent)


def _silent(path: Path) -> Iterator[tuple[Place, Place]]:
    """Where code never runs, or only describes: annotations, imports for type checkers, decorators of classes."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield _span(node)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield (node.lineno, node.col_offset), (node.body[0].lineno, node.body[0].col_offset)
        elif isinstance(node, ast.ClassDef):
            yield from map(_span, node.decorator_list)
        elif isinstance(node, ast.AnnAssign):
            yield _span(node.annotation)


def _span(node: ast.stmt | ast.expr) -> tuple[Place, Place]:
    return (node.lineno, node.col_offset), (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset)


def _survivors(done: list[tuple[WorkItem, WorkResult]]) -> Iterator[Survivor]:
    for item, result in done:
        if result.test_outcome is Outcome.SURVIVED:
            mutation = item.mutations[0]
            yield Survivor(mutation.start_pos[0], mutation.operator_name.removeprefix("core/"), result.diff or "")
