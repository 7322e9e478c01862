"""Every data source with every option it takes in every mode lands what it should; what it does not take is refused.

The merge of each source without options is a run of Dagster. The others are the same load without Dagster around it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from klaviyo_pipeline.sandbox.server import RunningSandbox
from klaviyo_pipeline.transfers.file.model import MODES, for_child_tables, options_of
from klaviyo_pipeline.transfers.file.reading import read_text
from klaviyo_pipeline.yaml_files.problems import FileError
from klaviyo_pipeline_tests.breadth import broad
from klaviyo_pipeline_tests.core import CORE
from klaviyo_pipeline_tests.transfers.workplace import Workplace, load_file, run_file, workplace_at

MIDDLE = "2026-09-18T00:00:00+00:00"
VALUES: dict[str, list[Any]] = {
    "": [None],
    "filter_by": ["updated", "created"],
    "start_time": [MIDDLE],
    "end_time": [MIDDLE],
    "incremental": [False, True],
    "lookback_days": [2.5, 0],
    "attributions": [False, True],
    "skip_related": [False, True],
    "subscriptions": [True, False],
    "predictive_analytics": [True, False],
    "definition": [True, False],
    "metrics": ["one"],
    "list_ids": ["one"],
    "event_ids": ["one"],
    "events_table": ["events"],
}
BOUNDS = (("start_time", "1999-01-01T00:00:00Z"), ("end_time", "2999-01-01T00:00:00Z"))
COLUMN_OF = {
    "attributions": "attributed_event_id",
    "subscriptions": "subscriptions",
    "predictive_analytics": "predictive_analytics",
    "definition": "definition",
    "skip_related": "metric_name",
}


def taken() -> Iterator[tuple[str, str, Any, str]]:
    """Every source with every option that it takes, and with none, in every mode; further values in one mode."""
    for source in CORE.values():
        for option in ("", *(each for each in options_of(source) if each != "leave_out")):
            values = [value for value in VALUES[option] if option != "filter_by" or value in source.filter_by]
            for number, value in enumerate(values):
                for mode in MODES if number == 0 else ("merge",):
                    yield source.name, option, value, mode


def expected(place: Workplace, source: str, options: dict[str, Any]) -> set[Any]:
    """The ids that a first run is to land."""
    field = next((each for each in CORE[source].time_fields if each.filter_by == options.get("filter_by")), None)
    field = field or next(iter(CORE[source].time_fields), None)
    low, high = (datetime.fromisoformat(options.get(name, far)) for name, far in BOUNDS)

    def inside(row: dict[str, Any]) -> bool:
        names = {"joined_group_at": "joined_at"}
        time = datetime.fromisoformat(row[names.get(field.name, field.name)]) if field else None
        return time is None or low <= time < high

    if source in {"event_metrics", "event_profiles"}:
        key = "metric_id" if source == "event_metrics" else "profile_id"
        wanted = options.get("event_ids")
        return {row["id"] for row in place.truth("events") if row[key] and (wanted is None or row["id"] in wanted)}
    if source == "list_profiles":
        wanted = options.get("list_ids")
        return {
            (row["list_id"], row["profile_id"])
            for row in place.truth("members")
            if inside(row) and (wanted is None or row["list_id"] in wanted)
        }
    metrics = options.get("metrics")
    return {
        row["id"] for row in place.truth(source) if inside(row) and (metrics is None or row["metric_id"] in metrics)
    }


@pytest.fixture(scope="module")
def events(shop: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a database that has the events."""
    with pytest.MonkeyPatch.context() as patch, workplace_at(tmp_path_factory.mktemp("events"), shop, patch) as place:
        text = "source: events\noptions: {attributions: false}\ndestination: {table: events}"
        assert run_file(read_text(text, Path("events.yml"))).success
        return place.root / "data"


def real_ids(place: Workplace, option: str, value: Any) -> Any:
    if option == "event_ids":
        return [row["id"] for row in place.truth("events") if row["metric_id"] and row["profile_id"]][:2]
    if option == "metrics":
        return [next(row["metric_id"] for row in place.truth("events") if row["metric_id"])]
    return [place.truth("members")[0]["list_id"]] if option == "list_ids" else value


@pytest.mark.parametrize(("source", "option", "value", "mode"), broad(taken()))
def test_option_that_a_source_takes_lands_what_it_should(
    place: Workplace, events: Path, source: str, option: str, value: Any, mode: str
) -> None:
    options = {option: real_ids(place, option, value)} if option else {}
    if source in {"event_metrics", "event_profiles"} and option != "event_ids":
        shutil.copytree(events, place.root / "data")
    text = yaml.safe_dump({"source": source, "options": options, "destination": {"table": "rows", "mode": mode}})

    if mode == "merge" and not option:
        outcome = run_file(read_text(text, Path("matrix.yml")))
        assert outcome.success, outcome.message
    else:
        load_file(read_text(text, Path("matrix.yml")))

    key = "list_id, profile_id" if source == "list_profiles" else "id"
    landed = [row if len(row) > 1 else row[0] for row in place.sql(f"SELECT {key} FROM klaviyo.rows")]
    assert set(landed) == expected(place, source, options)
    assert len(landed) == len(set(landed))
    ledger = "SELECT write_mode FROM klaviyo.klaviyo_pipeline.ledger WHERE source = 'transfers/matrix'"
    assert place.sql(ledger) == [(mode,)]
    if option in COLUMN_OF:
        columns = [row[0] for row in place.sql("SELECT column_name FROM (DESCRIBE klaviyo.rows)")]
        there = value is (option != "skip_related")
        assert any(name.startswith(COLUMN_OF[option]) for name in columns) is there


NOT_TAKEN = [
    (source.name, option)
    for source, option in product(CORE.values(), VALUES)
    if option and option not in options_of(source) and option not in for_child_tables(source)
]


@pytest.mark.parametrize(("source", "option"), NOT_TAKEN)
def test_option_that_a_source_does_not_take_is_refused_with_what_it_takes(source: str, option: str) -> None:
    text = f"source: {source}\noptions:\n  {option}: {yaml.safe_dump(VALUES[option][0], default_flow_style=True)}"

    with pytest.raises(FileError) as caught:
        read_text(text, Path("x.yml"), ())

    takes = ", ".join(options_of(CORE[source]))
    says = f"x.yml:3:3: options.{option} is not taken: {source} takes {takes or 'no options'}"
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize("mode", ["upsert", "APPEND", "", 1])
@pytest.mark.parametrize("source", list(CORE))
def test_mode_that_there_is_not_is_refused(source: str, mode: Any) -> None:
    text = yaml.safe_dump({"source": source, "destination": {"mode": mode}})
    with pytest.raises(FileError, match=r"destination\.mode is .*, but must be one of append, replace,"):
        read_text(text, Path("x.yml"), ())


def test_every_option_of_every_source_is_in_the_matrix() -> None:
    assert {option for source in CORE.values() for option in options_of(source)} | {""} == {*VALUES, "leave_out"}
