"""The loaders side by side: as libraries, as whole processes, against the floor; and start-up alone."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from benchmarks import measure
from benchmarks.bench import HEADER, Outcome, Section, Settings, Shop, best, shop
from klaviyo_pipeline.orchestration import dagster_home

DEFAULT_PAGES = {"events": 200, "profiles": 20}
"""What Klaviyo answers to a request that names no page size."""
LOADERS = {
    "ours": "this project",
    "plain": "requests + pandas + duckdb",
    "plain-largest": "requests + pandas + duckdb, largest pages",
    "dlt_rest": "dlt rest_api",
}
PLAIN_IN_DEFAULT_PAGES = ("events",)
"""Profiles in pages of 20 would take minutes, and show nothing more."""
AT_LEAST = {"events": {"plain": 15.0, "dlt_rest": 8.0}, "profiles": {"plain-largest": 12.0, "dlt_rest": 12.0}}
AT_LEAST_WHOLE = {"events": 3.0, "profiles": 5.0}
DLT_SETTINGS: tuple[dict[str, object], ...] = (
    {},
    {"normalize_workers": 1, "file_max_items": 0},
    {"strategy": "upsert"},
    {"load_workers": 1},
    {"nesting": 0},
)


def compare(source: str) -> Callable[[Settings], Section]:
    """A scenario: all loaders, each into an empty table, and this project through `dagster asset materialize`."""

    def scenario(settings: Settings) -> Section:
        rows = getattr(settings, source)
        section = Section(
            f"{source.capitalize()}: {rows:,} rows, {settings.latency_ms:g} ms latency, limits off",
            "Fetch and land into an empty table (this project and dlt in merge mode). `seconds` leaves imports out.",
            ("loader", *HEADER, "× this project", "× as processes"),
        )
        loaders = [name for name in LOADERS if name != "plain" or source in PLAIN_IN_DEFAULT_PAGES]
        with shop(settings, f"--{source}", str(rows)) as found:
            runs: dict[str, list[Outcome]] = {name: [] for name in (*loaders, "dagster")}
            for repeat in range(settings.repeats):
                for name in loaders:
                    options = {"page_size": DEFAULT_PAGES[source]} if name == "plain" else {}
                    job = found.job(source, found.new_database(), **options)
                    runs[name].append(found.load(name.removesuffix("-largest"), job))
                    _say(settings, f"{source} {repeat + 1} {name}", runs[name][-1])
                runs["dagster"].append(materialize(found, source))
                _say(settings, f"{source} {repeat + 1} dagster", runs["dagster"][-1])
        fastest = {name: best(outcomes) for name, outcomes in runs.items()}
        quickest = {name: best(outcomes, whole=True).run.wall_s for name, outcomes in runs.items()}
        for name in loaders:
            label = LOADERS[name]
            ratio = fastest[name].run.seconds / fastest["ours"].run.seconds
            whole = quickest[name] / quickest["dagster"]
            section.rows.append((label, *fastest[name].cells(), f"{ratio:.1f}", f"{whole:.1f}"))
            if name in AT_LEAST[source]:
                wanted = AT_LEAST[source][name]
                section.claim(f"{source}: at least {wanted:g} times {label}", f"{ratio:.1f}", ratio >= wanted)
        section.rows.append(("this project, dagster asset materialize", *fastest["dagster"].cells(), "", "1.0"))
        whole = quickest["dlt_rest"] / quickest["dagster"]
        wanted = AT_LEAST_WHOLE[source]
        section.claim(f"{source}: as whole processes at least {wanted:g} times dlt", f"{whole:.1f}", whole >= wanted)
        right = all(outcome.right for outcomes in runs.values() for outcome in outcomes)
        section.claim(f"{source}: every loader landed the same ids", "yes" if right else "no", right)
        return section

    return scenario


def materialize(found: Shop, source: str) -> Outcome:
    """A load of everything through Dagster's command line: the range of all days, one run."""
    database = found.new_database()
    first, last = found.days(source)
    job = found.job(source, database)
    days = ["--partition-range", f"{first}...{last}"]
    command = measure.python(
        "-m", "dagster", "asset", "materialize", "-m", "klaviyo_pipeline.definitions",
        "--select", f"klaviyo/{source}", *days,
    )  # fmt: skip
    return found.watch(job, command, environment(found, database, str(first)), table=f"klaviyo.{source}")


def environment(found: Shop, database: Path, first_day: str, home: Path | None = None) -> dict[str, str]:
    """What a Dagster process is told; its home is kept, as a user's is."""
    home = home or found.folder / "dagster_home"
    home.mkdir(exist_ok=True)
    shutil.copy(dagster_home.SETTINGS, home / "dagster.yaml")
    return {
        "DAGSTER_HOME": str(home),
        "KLAVIYO_API_KEY": found.sandbox.api_key,
        "KLAVIYO_BASE_URL": found.sandbox.url,
        "KLAVIYO_DUCKDB_PATH": str(database),
        "KLAVIYO_PARTITION_START": first_day,
    }


def floor(settings: Settings) -> Section:
    """A scenario: what the same work costs at the least, download alone and load alone."""
    section = Section(
        "The floor",
        "Download only: the same pages over 16 plain sockets, slices cut so that all are equally full, nothing "
        "decoded. Load only: the staged rows through one `INSERT … SELECT` into an empty table; nothing is checked.",
        ("collection", "download only s", "our fetch s", "load only s", "our landing s", "floor / ours"),
    )
    with shop(settings, "--events", str(settings.events), "--profiles", str(settings.profiles)) as found:
        for source in ("events", "profiles"):
            floors, ours = [], []
            for _repeat in range(settings.repeats):
                job = found.job(source, found.new_database())
                staged = found.load("ours", found.job(source, found.new_database(), stop_after="fetch"))
                download = found.load("floor", found.job(source, found.new_database(), step="download"))
                files = staged.run.report["staged"]
                loaded = found.load("floor", found.job(source, found.new_database(), step="load", files=files))
                floors.append((download.run.seconds, loaded.run.seconds))
                ours.append(found.load("ours", job))
                settings.say(f"  floor {source}: {floors[-1]}, ours {ours[-1].run.report['parts']}")
            parts = best(ours).run.report["parts"]
            download_s, load_s = (min(each) for each in zip(*floors, strict=True))
            share = (download_s + load_s) / best(ours).run.seconds
            seconds = (download_s, parts["fetch"], load_s, parts["land"])
            section.rows.append((source, *(f"{each:.2f}" for each in seconds), f"{share:.0%}"))
    return section


CPU_ABOVE_TRIVIAL_S = 0.8
HOME_TIMES_TRIVIAL = 1.5


def startup(settings: Settings) -> Section:
    """A scenario: processes that have almost nothing to do, and what a run adds to `DAGSTER_HOME`."""
    section = Section(
        "Start-up",
        "Best of the repeats. `dagster asset materialize` reads the metrics, one request and a few rows. The trivial "
        "asset has as many checks, and does nothing. The peers load a window that is empty. `home kB` is the growth of "
        "DAGSTER_HOME in one more run.",
        ("process", "wall s", "CPU s", "peak MB", "home kB"),
    )
    with shop(settings, "--events", "100", "--profiles", "10") as found:
        commands = {
            "python -c pass": measure.python("-c", "pass"),
            "import klaviyo_pipeline.definitions": measure.python("-c", "import klaviyo_pipeline.definitions"),
            TRIVIAL: _materialize("benchmarks.trivial_asset", "trivial/metrics"),
            METRICS: _materialize("klaviyo_pipeline.definitions", "klaviyo/metrics"),
        }
        for name in ("ours", "plain", "dlt_rest"):
            label, job = LOADERS[name], found.job("events", found.new_database())
            later = found.days("events")[1] + timedelta(days=2)
            empty = type(job)(**{**vars(job), "since": f"{later}T00:00:00Z"})
            commands[f"{label}, nothing to load"] = measure.python(
                "-m", f"benchmarks.loaders.{name}", empty.command_line
            )
        homes = {label: found.folder / f"home_{number}" for number, label in enumerate(commands)}
        first = str(found.days("events")[0])
        given = {label: environment(found, found.new_database(), first, home) for label, home in homes.items()}
        runs: dict[str, list[measure.Run]] = {label: [] for label in commands}
        sizes: dict[str, list[int]] = {label: [] for label in commands}
        # In turn, so that whatever else the machine does falls on all alike.
        for _ in range(settings.repeats + 1):
            for label, command in commands.items():
                runs[label].append(measure.run(command, given[label]))
                sizes[label].append(sum(each.stat().st_size for each in homes[label].rglob("*") if each.is_file()))
    cpu = {label: min(run.cpu_s for run in each) for label, each in runs.items()}
    kept = {label: (each[-1] - each[0]) / settings.repeats / 1000 for label, each in sizes.items()}
    for label, each in runs.items():
        quickest = min(each, key=lambda run: run.wall_s)
        settings.say(f"  {label}: {quickest.wall_s:.2f} s")
        grown = f"{kept[label]:.0f}" if kept[label] else ""
        section.rows.append((label, f"{quickest.wall_s:.2f}", f"{cpu[label]:.2f}", f"{quickest.peak_mb:.0f}", grown))
    above, times = cpu[METRICS] - cpu[TRIVIAL], kept[METRICS] / kept[TRIVIAL]
    section.claim(
        f"a run with nothing new takes at most {CPU_ABOVE_TRIVIAL_S:g} s of CPU more than a trivial asset's",
        f"{above:.2f} s",
        above <= CPU_ABOVE_TRIVIAL_S,
    )
    section.claim(
        f"a run adds at most {HOME_TIMES_TRIVIAL:g} times as much to DAGSTER_HOME as a trivial asset's",
        f"{times:.2f}",
        times <= HOME_TIMES_TRIVIAL,
    )
    return section


TRIVIAL = "dagster asset materialize (trivial/metrics)"
METRICS = "dagster asset materialize (klaviyo/metrics)"


def _materialize(module: str, asset: str) -> list[str]:
    return measure.python("-m", "dagster", "asset", "materialize", "-m", module, "--select", asset)


def dlt_settings(settings: Settings) -> Section:
    """A scenario: dlt with other settings, to be sure that the comparison uses a good one."""
    section = Section(
        f"dlt's settings, tried on {settings.events:,} events",
        "The first line is what the comparison uses. `nesting: 0` does less: all attributes stay one JSON column.",
        ("settings", *HEADER, "steps"),
    )
    with shop(settings, "--events", str(settings.events)) as found:
        for options in DLT_SETTINGS:
            runs = [
                found.load("dlt_rest", found.job("events", found.new_database(), **options))
                for _ in range(settings.repeats)
            ]
            quickest = best(runs)
            label = ", ".join(f"{name}: {value}" for name, value in options.items()) or "as compared"
            _say(settings, label, quickest)
            steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in quickest.run.report["parts"].items())
            section.rows.append((label, *quickest.cells(), steps))
    return section


def _say(settings: Settings, label: str, outcome: Outcome) -> None:
    settings.say(
        f"  {label}: {outcome.run.seconds:.2f} s, whole {outcome.run.wall_s:.2f} s, {outcome.requests} requests"
    )
