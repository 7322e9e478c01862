"""Where this project's own time goes: a load under py-spy, summed up here, drawn in artifacts/.

    python -m benchmarks.profiling                        # events, only while Python's lock is held
    python -m benchmarks.profiling profiles --all-time    # waiting included

`gil` is what decides how fast 16 threads are together: only one of them runs Python at a time.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from benchmarks import measure
from benchmarks.bench import Settings, shop

FOLDER = measure.ROOT / "artifacts"
_LINE = re.compile(r":\d+\)$")
_FOLDERS = re.compile(r"\((?:[^()]*/)?([^/()]+/[^/()]+:)")


def main() -> int:
    """Profile one load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", nargs="?", default="events", choices=("events", "profiles"))
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--latency-ms", type=float, default=50.0)
    parser.add_argument("--all-time", action="store_true", help="threads that wait too, not only those with the lock")
    parser.add_argument("--top", type=int, default=30)
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    settings = Settings(given.rows, given.rows, 0, 0, given.latency_ms, 1)
    with shop(settings, f"--{given.source}", str(given.rows)) as found:
        spy = [str(Path(sys.executable).with_name("py-spy")), "record", "--rate", "400"]
        spy += ["--idle"] if given.all_time else ["--gil"]
        for form, ending in (("raw", "txt"), ("flamegraph", "svg")):
            path = FOLDER / f"profile-{given.source}.{ending}"
            job = found.job(given.source, found.new_database())
            load = measure.python("-m", "benchmarks.loaders.ours", job.command_line)
            run = measure.run([*spy, "--format", form, "--output", str(path), "--", *load])
            print(f"{path}: {run.report.get('parts')}")
    show(FOLDER / f"profile-{given.source}.txt", given.top)
    return 0


def show(path: Path, top: int) -> None:
    """The frames that most samples lie in: below them, and in themselves."""
    below: Counter[str] = Counter()
    itself: Counter[str] = Counter()
    for line in path.read_text().splitlines():
        stack, _, number = line.rpartition(" ")
        count = int(number)
        frames = [_FOLDERS.sub(r"(\1", frame) for frame in stack.split(";")]
        if any("_find_and_load" in frame for frame in frames):
            continue
        itself[frames[-1]] += count
        below.update(dict.fromkeys({_LINE.sub(")", frame) for frame in frames}, count))
    total = sum(itself.values()) or 1
    for title, counts in (("with what they call", below), ("lines themselves", itself)):
        print(f"\n{title} (imports left out, {total} samples)")
        for frame, samples in counts.most_common(top):
            print(f"  {samples / total:6.1%}  {frame}")


if __name__ == "__main__":
    sys.exit(main())
