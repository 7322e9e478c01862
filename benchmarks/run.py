"""Runs benchmarks and says what they came to.

python -m benchmarks.run                       # all of them, best of three
python -m benchmarks.run events --repeats 1    # one
python -m benchmarks.run --write               # all, and write benchmarks/RESULTS.md
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime

from benchmarks import analytics, comparison, lake, lasting, measure, results, table_growth
from benchmarks.bench import Section, Settings

SCENARIOS: dict[str, Callable[[Settings], Section]] = {
    "events": comparison.compare("events"),
    "profiles": comparison.compare("profiles"),
    "floor": comparison.floor,
    "startup": comparison.startup,
    "again": lasting.again,
    "growth": lasting.growth,
    "resume": lasting.resume,
    "limits": lasting.limits,
    "refusals": lasting.refusals,
    "tables": table_growth.tables,
    "analytics": analytics.analytics,
    "lake": lake.lake,
    "dlt-settings": comparison.dlt_settings,
}


def main() -> int:
    """Run what the command line names. The exit code says whether all claims hold, if asked to check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"of {', '.join(SCENARIOS)}; all by default")
    parser.add_argument("--events", type=int, default=100_000, help="events to compare with (%(default)s)")
    parser.add_argument("--profiles", type=int, default=50_000, help="profiles to compare with (%(default)s)")
    parser.add_argument("--large", type=int, default=1_000_000, help="events at the end of the growth (%(default)s)")
    parser.add_argument("--limited", type=int, default=130_000, help="profiles with limits on (%(default)s)")
    parser.add_argument(
        "--tables", type=_sizes, default=(200_000, 2_000_000), help="sizes of tables, with commas (%(default)s)"
    )
    parser.add_argument("--latency-ms", type=float, default=50.0, help="the sandbox's latency (%(default)s)")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each, the best of which counts (%(default)s)")
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a claim does not hold")
    given = parser.parse_args()
    unknown = set(given.scenarios) - set(SCENARIOS)
    if unknown:
        parser.error(f"there is no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    settings = Settings(
        given.events, given.profiles, given.large, given.limited, given.tables, given.latency_ms, given.repeats, _say
    )
    facts = measure.machine() | {"Date": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "Command": " ".join(sys.argv[1:])}
    measure.warm_up()
    sections = []
    for name in given.scenarios or SCENARIOS:
        began = time.perf_counter()
        _say(f"{name} …")
        sections.append(SCENARIOS[name](settings))
        _say(results.as_text(sections[-1]))
        _say(f"({name} took {time.perf_counter() - began:.0f} s)\n")
    _say(results.verdicts(sections))
    if given.write:
        path = results.write(sections, facts)
        _say(f"wrote {path}")
    return int(given.check and not all(verdict.holds for section in sections for verdict in section.verdicts))


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(sorted(int(each) for each in text.split(",")))


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
