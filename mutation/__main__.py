"""`python -m mutation [MODULES...]`: test samples of mutants, and write build/mutants/report.md."""

from __future__ import annotations

import argparse
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mutation.session import BaselineError, Result, run
from mutation.settings import ROOT, Settings

FOLDER = ROOT / "build" / "mutants"
ENOUGH = 0.9
"""The share of mutants that must be caught. Whether a survivor matters is for people to judge."""


def main(arguments: list[str]) -> int:
    """0 if enough mutants were caught in every module."""
    parser = argparse.ArgumentParser(prog="mutation", description=__doc__)
    parser.add_argument("modules", nargs="*", help="parts of module paths, such as ledger; by default all modules")
    parser.add_argument("--sample", type=int, help="mutants a module")
    parser.add_argument("--seed", help="another text takes another sample")
    parser.add_argument("--jobs", type=int, default=1, help="modules at a time")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where copies and results go")
    given = parser.parse_args(arguments)
    settings = Settings.read(sample=given.sample, seed=given.seed)
    modules = settings.modules(given.modules)
    folder: Path = given.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(given.jobs) as pool:
        results = [found for found in pool.map(lambda each: _tried(each, settings, folder), modules) if found]
    (folder / "report.md").write_text(_report(results, settings), encoding="utf-8")
    print(f"Survivors: {folder / 'report.md'}")
    return 0 if len(results) == len(modules) and all(each.share >= ENOUGH for each in results) else 1


def _tried(module: str, settings: Settings, folder: Path) -> Result | None:
    try:
        result = run(module, settings, folder)
    except BaselineError as error:
        print(f"{module}: {error}", file=sys.stderr)
        return None
    print(f"{module}: {result.caught} of {result.tried} caught ({result.took_s:.0f} s)", flush=True)
    return result


def _report(results: list[Result], settings: Settings) -> str:
    lines = [f"# Mutants (sample of {settings.sample}, seed {settings.seed!r})", "", "| module | tried | caught |"]
    lines += ["|---|---|---|", *(f"| {each.module} | {each.tried} | {each.caught} |" for each in results)]
    for result in results:
        for survivor in result.survivors:
            lines += [
                "",
                f"## {result.module}:{survivor.line} {survivor.operator}",
                "",
                "```diff",
                survivor.diff,
                "```",
            ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
