"""Charts as images: decoded, and looked at where their bars must be."""

from __future__ import annotations

import io
import random
from datetime import UTC, datetime, timedelta

import pytest
from PIL import Image

from klaviyo_pipeline.charts.drawing import COLOURS, HEIGHT, WIDTH, draw
from klaviyo_pipeline.charts.model import Chart, Series, Step

START = datetime(2026, 5, 5, tzinfo=UTC)


def chart(*values: tuple[float, ...], **more: object) -> Chart:
    """A chart of days, of these series."""
    bins = tuple(START + timedelta(days=number) for number in range(len(values[0])))
    series = tuple(Series(f"series {number}", each) for number, each in enumerate(values))
    return Chart("What happened", Step.DAY, bins, series, "UTC", **more)  # type: ignore[arg-type]


def drawn(given: Chart) -> Image.Image:
    """The image that a chart becomes."""
    return Image.open(io.BytesIO(draw(given))).convert("RGB")


def height_at(image: Image.Image, x: float, colour: str) -> int:
    """How many pixels of a column have a colour, below the legend."""
    wanted = tuple(bytes.fromhex(colour[1:]))
    return sum(image.getpixel((round(x), y)) == wanted for y in range(60, HEIGHT))


def test_bars_are_as_high_as_their_values_and_stand_on_each_other() -> None:
    image = drawn(chart((100, 200, 0, 400), (100, 0, 0, 0)))

    assert image.size == (WIDTH, HEIGHT)
    quarter = (WIDTH - 64 - 20) / 4
    first, second, third, fourth = (64 + quarter * (number + 0.5) for number in range(4))
    whole = height_at(image, fourth, COLOURS[0])
    assert whole > 150
    assert height_at(image, second, COLOURS[0]) == pytest.approx(whole / 2, abs=1)
    assert height_at(image, first, COLOURS[0]) == pytest.approx(whole / 4, abs=1)
    assert height_at(image, first, COLOURS[1]) == pytest.approx(whole / 4, abs=1)
    assert height_at(image, third, COLOURS[0]) == 0


def test_negative_bars_hang_below_zero() -> None:
    image = drawn(chart((100, -100)))

    blue = tuple(bytes.fromhex(COLOURS[0][1:]))
    above, below = ([y for y in range(60, HEIGHT) if image.getpixel((x, y)) == blue] for x in (200, 650))
    assert len(above) == pytest.approx(len(below), abs=1)
    assert max(above) < min(below)


def test_what_was_loaded_is_shaded() -> None:
    image = drawn(chart((0, 0, 0, 1), loaded=(START + timedelta(days=2), START + timedelta(days=3))))

    quarter, shade = (WIDTH - 64 - 20) / 4, tuple(bytes.fromhex("eef4ff"))
    shaded = [image.getpixel((round(64 + quarter * (number + 0.5)), 100)) == shade for number in range(4)]
    assert shaded == [False, False, True, False]
    whole = drawn(chart((0, 0, 0, 1), loaded=(START, START + timedelta(days=4))))
    assert whole.getpixel((round(64 + quarter / 2), 100)) == (255, 255, 255)


def test_image_stays_small_however_much_is_on_it() -> None:
    chance = random.Random(1)
    given = chart(*(tuple(chance.random() * 1e6 for _ in range(200)) for _ in range(6)))

    assert len(draw(given)) < 20_000


@pytest.mark.parametrize("value", [0, 1e-6, 0.3, 7, 12_345, 9.9e8, 3e12, -5])
def test_any_size_of_values_can_be_drawn(value: float) -> None:
    image = drawn(chart((value,)))

    colours = image.getcolors(maxcolors=10_000)
    assert colours is not None
    assert len(colours) > 5  # letters, lines, a legend
