"""What holds over time: second runs, growth, a killed run, and rate limits."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta

from benchmarks import measure
from benchmarks.bench import HEADER, Outcome, Section, Settings, Shop, best, shop

LIMITS = {"profiles": (75, 750)}
"""Klaviyo's burst (a second) and steady (a minute) limits."""
SHARE = 0.9
REFUSED = 0.05


def again(settings: Settings) -> Section:
    """A scenario: a second run with nothing new, with 1 % new, and with the lookback that the asset has."""
    section = Section(
        "A second run",
        "Goes on where the ledger says that the first ended. `with lookback` reads the last seven days again, as the "
        "events asset does by default; nothing has changed in them.",
        ("run", *HEADER, "slices", "inserted", "updated", "unchanged"),
    )
    sizes = ("--events", str(settings.events), "--profiles", str(settings.profiles))
    with shop(settings, *sizes, until=None) as found:
        for source in ("events", "profiles"):
            database = found.new_database()
            found.load("ours", found.job(source, database))
            _second(settings, found, section, source, "nothing new", [
                found.load("ours", found.job(source, database, resume=True)) for _ in range(settings.repeats)
            ])  # fmt: skip
            if source == "events":
                runs = [
                    found.load("ours", found.job(source, database, resume=True, lookback_days=7))
                    for _ in range(settings.repeats)
                ]
                _second(settings, found, section, source, "nothing new, with lookback", runs)
            runs = []
            for _repeat in range(settings.repeats):
                add_rows(found, source, len(found.ids(source)) // 100)
                runs.append(found.load("ours", found.job(source, database, resume=True)))
            _second(settings, found, section, source, "1 % new", runs)
    return section


def add_rows(found: Shop, source: str, count: int) -> None:
    """So many new events of now, or profiles that were updated just now."""
    now = datetime.now(UTC).replace(microsecond=0)
    if source == "profiles":
        changed = sorted(found.ids(source))[:count]
        rows: list[dict[str, object]] = [
            {"id": each, "title": f"Title {now:%H%M%S}", "updated": now.isoformat()} for each in changed
        ]
        found.sandbox.admin("POST", source, rows)
    else:
        properties = {"$value": 12.5, "Items": ["a", "b"], "note": "x" * 1000}
        people = sorted(found.ids("profiles"))
        rows = [
            {"datetime": now.isoformat(), "event_properties": properties, "profile_id": people[i % len(people)]}
            for i in range(count)
        ]
        found.sandbox.admin("POST", source, rows)
    found.forget_truth()


def _second(
    settings: Settings, found: Shop, section: Section, source: str, label: str, outcomes: list[Outcome]
) -> None:
    outcome = best(outcomes)
    told = outcome.run.report
    settings.say(f"  {source} {label}: {outcome.run.seconds:.2f} s, {outcome.requests} requests")
    counts = [f"{told[name]:,}" for name in ("slices", "inserted", "updated", "unchanged")]
    cells = outcome.cells()
    cells[5] = ""
    section.rows.append((f"{source}, {label}", *cells, *counts))
    if label == "nothing new":
        one_each = outcome.requests == told["slices"]
        section.claim(
            f"{source}, nothing new: one request a slice", f"{outcome.requests} for {told['slices']}", one_each
        )
    if "lookback" not in label:
        seconds = 1.0 if label == "nothing new" else 2.0
        section.claim(
            f"{source}, {label}: under {seconds:g} s", f"{outcome.run.seconds:.2f}", outcome.run.seconds < seconds
        )
    right = all(each.right for each in outcomes)
    section.claim(f"{source}, {label}: the table is right", "yes" if right else "no", right)


def growth(settings: Settings) -> Section:
    """A scenario: ever more events."""
    section = Section(
        f"Growth to {settings.large:,} events",
        "This project alone, as a library, limits off.",
        ("events", *HEADER, "fetch s", "land s"),
    )
    outcomes: dict[int, Outcome] = {}
    reference = min(200_000, settings.large // 5)
    for events in sorted({settings.large // 100, settings.large // 10, reference, settings.large}):
        with shop(settings, "--events", str(events)) as found:
            runs = [found.load("ours", found.job("events", found.new_database())) for _ in range(settings.repeats)]
        outcome = outcomes[events] = best(runs)
        settings.say(f"  {events:,}: {outcome.run.seconds:.2f} s, {outcome.run.peak_mb:.0f} MB")
        parts = outcome.run.report["parts"]
        section.rows.append((f"{events:,}", *outcome.cells(), f"{parts['fetch']:.2f}", f"{parts['land']:.2f}"))
    large, small = outcomes[settings.large], outcomes[reference]
    peaks, speeds = large.run.peak_mb / small.run.peak_mb, large.rows_per_s / small.rows_per_s
    section.claim(f"{settings.large:,} events: peak under 500 MB", f"{large.run.peak_mb:.0f}", large.run.peak_mb < 500)
    section.claim(f"peak within 15 % of that at {reference:,}", f"{peaks - 1:+.0%}", abs(peaks - 1) <= 0.15)
    section.claim(f"rows/s within 20 % of those at {reference:,}", f"{speeds - 1:+.0%}", abs(speeds - 1) <= 0.2)
    return section


def resume(settings: Settings) -> Section:
    """A scenario: a run killed (SIGKILL) when half of the requests have been answered, and started again."""
    section = Section(
        "A run killed at half",
        "Killed when the sandbox has answered half of a full run's requests; pages under way then are lost.",
        ("run", *HEADER, "rows resumed", "of a full run's requests"),
    )
    for source, rows in (("events", settings.large), ("profiles", settings.profiles)):
        with shop(settings, f"--{source}", str(rows)) as found:
            full = found.load("ours", found.job(source, found.new_database()))
            section.rows.append((f"{source}, full", *full.cells(), "", "100%"))
            database = found.new_database()
            job = found.job(source, database, staging=str(database.parent / "staging"))
            answered = _killed_at(found, measure.python("-m", "benchmarks.loaders.ours", job.command_line), full)
            outcome = found.load("ours", job)
        share = outcome.requests / full.requests
        settings.say(f"  {source}: killed at {answered} of {full.requests}, then {outcome.requests}")
        resumed = f"{outcome.run.report['resumed_rows']:,}"
        section.rows.append((f"{source}, after a kill at {answered}", *outcome.cells(), resumed, f"{share:.0%}"))
        section.claim(f"{source}, killed at half: at most 55 % of the requests", f"{share:.0%}", share <= 0.55)
        section.claim(f"{source}, killed at half: the same rows", "yes" if outcome.right else "no", outcome.right)
    return section


def _killed_at(found: Shop, command: list[str], full: Outcome) -> int:
    """Kill a run at half of a full one's requests; says after how many it was."""
    found.sandbox.reset_counts()
    program = measure.Program(command)
    while program.running() and found.sandbox.counts()["total"] < full.requests / 2:
        time.sleep(0.005)
    program.kill()
    program.finish(check=False)
    return int(found.sandbox.counts()["total"])


def limits(settings: Settings) -> Section:
    """A scenario: limits on, and more pages than a minute's quota."""
    rows = settings.limited
    section = Section(
        f"Limits on: {rows:,} profiles, {SHARE:.0%} of 75 a second and 750 a minute",
        "`ideal` is how long so many requests take at exactly the permitted rates times the share.",
        ("run", *HEADER, "429", "ideal s", "of the permitted rate", "requests in the first 60 s"),
    )
    with shop(settings, "--profiles", str(rows), limits=True) as found:
        job = found.job("profiles", found.new_database(), rate_limits=True, share=SHARE)
        found.sandbox.reset_counts()
        # Klaviyo's minutes begin on the minute; a run may begin anywhere in one.
        counted: list[int] = []
        timer = threading.Timer(61.0, lambda: counted.append(found.sandbox.counts()["total"]))
        timer.start()
        outcome = found.load("ours", job)
        timer.cancel()
    fetch_s = outcome.run.report["parts"]["fetch"]
    ideal_s = ideal_duration(outcome.requests, *LIMITS["profiles"], SHARE)
    rate, refused = ideal_s / fetch_s, outcome.refused / outcome.requests
    extra = (str(outcome.refused), f"{ideal_s:.1f}", f"{rate:.1%}", str(counted[0] if counted else outcome.requests))
    section.rows.append((f"fetch {timedelta(seconds=round(fetch_s))}", *outcome.cells(), *extra))
    section.claim("limits on: at least 95 % of the permitted rate times the share", f"{rate:.1%}", rate >= 0.95)
    section.claim("limits on: fewer than 1 % answered 429", f"{refused:.2%}", refused < 0.01)
    section.claim("limits on: none lost", "yes" if outcome.right else "no", outcome.right)
    return section


def refusals(settings: Settings) -> Section:
    """A scenario: profiles, with a twentieth of the answers 429 with `Retry-After: 1`, and the same with 503."""
    rows = min(settings.profiles, LIMITS["profiles"][1] * 60)
    section = Section(
        f"Refusals: {rows:,} profiles, limits on, {REFUSED:.0%} of the requests refused",
        "One window of the minute's quota holds all requests, so that only the refusals make a load wait.",
        ("refused with", *HEADER),
    )
    seconds = dict[str, float]()
    for kind, argument in (("503", None), ("429", "1")):
        with shop(settings, "--profiles", str(rows), limits=True) as found:
            job = found.job("profiles", found.new_database(), rate_limits=True, share=SHARE)
            rule = {"kind": kind, "probability": REFUSED, "argument": argument}
            found.sandbox.admin("POST", "faults", {"seed": 1, "rules": [rule]})
            outcome = found.load("ours", job)
        seconds[kind] = outcome.run.report["parts"]["fetch"]
        settings.say(f"  {kind}: {seconds[kind]:.1f} s")
        section.rows.append((kind, *outcome.cells()))
        section.claim(f"refused with {kind}: none lost", "yes" if outcome.right else "no", outcome.right)
    times = seconds["429"] / seconds["503"]
    section.claim("429 with Retry-After: 1: at most twice the time of 503", f"{times:.2f}", times <= 2)
    return section


def ideal_duration(requests: int, burst: int, steady: int, share: float) -> float:
    """Seconds that so many requests take at least, with full windows of quota at the beginning."""
    minutes, rest = divmod(requests - 1, int(steady * share))
    return 60.0 * minutes + float(rest // int(burst * share))
