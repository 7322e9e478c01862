"""`chart`: a picture as a file, or its values."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from klaviyo_pipeline_tests.transfers.workplace import Workplace


def test_chart_is_a_picture_of_what_landed_and_its_values_are_those_of_the_table(place: Workplace) -> None:
    place.write("orders", "source: events\noptions: {incremental: false}\ndestination: {table: events}")
    place.cli("transfer", "run", "orders", "-q")

    said = place.cli("chart", "events", "-o", "picture.png").stdout

    assert "picture.png" in said
    with Image.open("picture.png") as image:
        assert image.size == (860, 320)
        assert len(image.convert("RGB").getcolors(1_000) or []) > 8
    place.cli("chart", "events")
    assert Path("artifacts/events.png").read_bytes() == Path("picture.png").read_bytes()
    values = place.json("chart", "events")
    future = place.sql("SELECT count(*) FROM klaviyo.events WHERE datetime > now()")[0][0]
    assert sum(map(sum, values["series"].values())) == len(place.truth("events")) - future
    assert len(values["begins"]) == len(next(iter(values["series"].values())))


def test_chart_when_metrics_have_not_landed_asks_for_their_names_and_has_ids_without_a_key(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.write("orders", "source: events\noptions: {incremental: false}\ndestination: {table: events}")
    place.cli("transfer", "run", "orders", "-q")
    names = {metric["name"]: metric["id"] for metric in place.truth("metrics")}

    named = set(place.json("chart", "events")["series"])
    monkeypatch.delenv("KLAVIYO_API_KEY")
    ids = set(place.json("chart", "events")["series"])

    assert len(named & set(names)) > 3
    assert not named & set(names.values())
    assert len(ids & set(names.values())) > 3


@pytest.mark.parametrize(
    ("name", "exit_code", "said"),
    [
        ("evnts", 2, "'evnts' has no chart. Charts exist for: events, "),
        ("events", 1, "There is no table klaviyo.events yet: materialize klaviyo/events first."),
        ("daily_metrics", 1, "materialize klaviyo_analytics/daily_metrics first."),
    ],
)
def test_chart_that_can_not_be_drawn_says_why(place: Workplace, name: str, exit_code: int, said: str) -> None:
    place.write("kinds", "source: metrics")
    place.cli("transfer", "run", "kinds", "-q")

    result = place.cli("chart", name, exit_code=exit_code)

    assert said in result.stderr
    assert not Path(f"{name}.png").exists()
