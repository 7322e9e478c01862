"""One source of time zone rules: the tzdata package, whatever files the system has and whatever rules DuckDB has."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from zoneinfo import ZoneInfo

import klaviyo_pipeline
from klaviyo_pipeline.loads.zone_rules import disagreement

ASK = """
import dagster, zoneinfo
before = zoneinfo.ZoneInfo("America/Vancouver")
from datetime import UTC
from klaviyo_pipeline.orchestration.partitions import daily_partitions
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
window = daily_partitions("2026-06-01", "America/Vancouver").time_window_for_partition_key("2026-07-01")
zone = KlaviyoDuckDBResource(timezone="America/Vancouver").zone
print(before.utcoffset(window.start.replace(tzinfo=None)).total_seconds() / 3600)
print(window.start.astimezone(UTC).isoformat(), window.start.astimezone(zone).isoformat())
"""


def test_system_with_other_zone_files_has_the_same_days(tmp_path: Path) -> None:
    """As with files that are years old; here Vancouver has the clocks of Tokyo."""
    (tmp_path / "America").mkdir()
    other = files("tzdata").joinpath("zoneinfo", "Asia", "Tokyo").read_bytes()
    (tmp_path / "America" / "Vancouver").write_bytes(other)

    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONTZPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    assert done.stdout.split() == ["9.0", "2026-07-01T07:00:00+00:00", "2026-07-01T00:00:00-07:00"]


def test_no_sql_of_ours_asks_duckdb_for_a_local_time() -> None:
    package = Path(klaviyo_pipeline.__file__).parent
    asking = re.compile(r"AT TIME ZONE|(?<![\w.])timezone\(|SET TimeZone = (?!'UTC')", re.IGNORECASE)
    found = {
        f"{path.relative_to(package)}: {line.strip()}"
        for path in (*package.rglob("*.py"), *package.rglob("*.sql"))
        for line in path.read_text().splitlines()
        if asking.search(line)
    }
    assert {each.split(":")[0] for each in found} == {"warehouse/local_days.py", "loads/zone_rules.py"}, found


def test_engine_with_other_rules_is_named_with_zone_and_moment() -> None:
    with files("tzdata").joinpath("zoneinfo", "Etc", "GMT+8").open("rb") as file:
        zone = ZoneInfo.from_file(file, key="America/Vancouver")
    now = datetime(2026, 11, 20, tzinfo=UTC)
    text = disagreement(zone, now) or ""
    assert disagreement(ZoneInfo("Europe/Copenhagen"), now) is None
    assert "for America/Vancouver from 2012-03-11 10:00 UTC on" in text
