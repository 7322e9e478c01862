"""Draws charts: stacked bars, an axis of time, a legend, as a PNG of a few kilobytes.

Pillow rather than a plotting library: it takes a twentieth of the time to load, and a run should not wait for its
picture. Nothing here is imported before a chart is drawn.
"""

from __future__ import annotations

import io
import math
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from klaviyo_pipeline.charts.model import Chart, Step

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont

WIDTH, HEIGHT = 860, 320
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 20, 66, 44
_WHITE, _INK, _FAINT, _GRID, _LOADED = "#ffffff", "#26323f", "#6b7785", "#e6eaee", "#eef4ff"
COLOURS = ("#2f6de0", "#f29d38", "#2aa198", "#c2477f", "#7a5cc9", "#a3adb8")
"""Told apart by people who see colours differently, too; the last is for all others."""
_TEXT, _SMALL = 15, 12
_EDGES = 11
"""So many steps there are from a letter's colour to the white around it."""
_LONGEST_NAME = 30


def draw(chart: Chart) -> bytes:
    """A chart as a PNG image."""
    from PIL import Image, ImageDraw

    image = Image.new("RGB", (WIDTH, HEIGHT), _WHITE)
    canvas = ImageDraw.Draw(image)
    low, high, ticks = _scale(chart)
    pen = _Pen(canvas, chart, low, high)
    pen.mark_what_was_loaded()
    pen.draw_values_axis(ticks)
    pen.draw_bars()
    pen.draw_time_axis()
    pen.draw_head()
    png = io.BytesIO()
    image.quantize(palette=_palette(), dither=Image.Dither.NONE).save(png, "PNG", optimize=True)
    return png.getvalue()


class _Pen:
    """Where things are on the image, and how they are drawn."""

    def __init__(self, canvas: ImageDraw, chart: Chart, low: float, high: float) -> None:
        self._canvas, self._chart, self._low, self._high = canvas, chart, low, high
        self._bin_width = (WIDTH - _LEFT - _RIGHT) / max(1, len(chart.bins))

    def _x(self, position: float) -> float:
        return _LEFT + position * self._bin_width

    def _y(self, value: float) -> float:
        share = (value - self._low) / (self._high - self._low)
        return HEIGHT - _BOTTOM - share * (HEIGHT - _TOP - _BOTTOM)

    def _place(self, instant: datetime) -> float:
        """Where an instant is, in bins from the left."""
        bins = self._chart.bins
        length = (bins[1] - bins[0]).total_seconds() if len(bins) > 1 else 86_400
        return min(max((instant - bins[0]).total_seconds() / length, 0), len(bins))

    def mark_what_was_loaded(self) -> None:
        """Shade it, unless that is all there is."""
        if self._chart.loaded is None:
            return
        start, end = (self._place(each) for each in self._chart.loaded)
        if start < end and not (start < 1 and end > len(self._chart.bins) - 1):
            self._canvas.rectangle((self._x(start), _TOP, self._x(end), HEIGHT - _BOTTOM), fill=_LOADED)
            text = "shaded: what this run loaded"
            self._canvas.text((WIDTH - _RIGHT, HEIGHT - 8), text, _FAINT, _font(_SMALL), anchor="rs")

    def draw_values_axis(self, ticks: list[float]) -> None:
        for tick in ticks:
            y = self._y(tick)
            self._canvas.line((_LEFT, y, WIDTH - _RIGHT, y), fill=_FAINT if tick == 0 else _GRID)
            self._canvas.text((_LEFT - 8, y), _number(tick), _FAINT, _font(_SMALL), anchor="rm")

    def draw_bars(self) -> None:
        gap = 0 if self._chart.is_level or self._bin_width < 3 else 1
        for index in range(len(self._chart.bins)):
            above, below = 0.0, 0.0
            left, right = round(self._x(index)), round(self._x(index + 1)) - 1 - gap
            for number, series in enumerate(self._chart.series):
                value = series.values[index]
                if not value:
                    continue
                base = above if value > 0 else below
                top, bottom = sorted((round(self._y(base + value)), round(self._y(base))))
                # Rounded to nothing, a bar is still there as a line.
                self._canvas.rectangle((left, min(top, bottom - 1), right, bottom - 1), fill=COLOURS[number])
                above, below = (above + value, below) if value > 0 else (above, below + value)

    def draw_time_axis(self) -> None:
        bins, y, free_from = self._chart.bins, HEIGHT - _BOTTOM, 0.0
        for index in _labelled(self._chart):
            x, label = self._x(index), _time(bins[index], self._chart.step)
            width = _font(_SMALL).getlength(label)
            if x < free_from or x + width > WIDTH:
                continue
            self._canvas.line((x, y, x, y + 4), fill=_FAINT)
            self._canvas.text((x, y + 7), label, _FAINT, _font(_SMALL))
            free_from = x + width + 14
        self._canvas.text((_LEFT, HEIGHT - 8), f"time zone {self._chart.timezone}", _FAINT, _font(_SMALL), anchor="ls")

    def draw_head(self) -> None:
        self._canvas.text((_LEFT, 12), self._chart.title, _INK, _font(_TEXT))
        x: float = _LEFT
        if len(self._chart.series) == 1 and not self._chart.series[0].name:
            return
        for number, series in enumerate(self._chart.series):
            name = _shorten(series.name)
            width = 16 + _font(_SMALL).getlength(name) + 14
            if x + width > WIDTH:
                break
            self._canvas.rectangle((x, 40, x + 10, 50), fill=COLOURS[number])
            self._canvas.text((x + 16, 45), name, _INK, _font(_SMALL), anchor="lm")
            x += width


@cache
def _palette() -> Image:
    """The colours of every chart, also those at the edges of letters, so that no chart looks for its own."""
    from PIL import Image, ImageColor

    white, loaded, *pens = (ImageColor.getrgb(each) for each in (_WHITE, _LOADED, _GRID, *COLOURS, _INK, _FAINT))
    edges = [
        tuple(round(ground + (full - ground) * step / _EDGES) for full, ground in zip(pen, white, strict=True))
        for pen in pens[-2:]
        for step in range(1, _EDGES)
    ]
    palette = Image.new("P", (1, 1))
    palette.putpalette([value for colour in (white, loaded, *pens, *edges) for value in colour])
    return palette


@cache
def _font(size: int) -> FreeTypeFont:
    from PIL import ImageFont

    font = ImageFont.load_default(size)
    if not isinstance(font, ImageFont.FreeTypeFont):
        raise TypeError("Pillow was built without FreeType, so it has no letters of this size.")
    return font


def _scale(chart: Chart) -> tuple[float, float, list[float]]:
    """The lowest and highest value shown, and about four round ones between them."""
    sums = [[series.values[i] for series in chart.series] for i in range(len(chart.bins))]
    high = max((sum(value for value in values if value > 0) for values in sums), default=0)
    low = min((sum(value for value in values if value < 0) for values in sums), default=0)
    if high == low:
        high = low + 1
    rough = (high - low) / 4
    magnitude = 10.0 ** math.floor(math.log10(rough))
    step = next(magnitude * factor for factor in (1, 2, 2.5, 5, 10) if magnitude * factor >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return first * step, last * step, [step * i for i in range(first, last + 1)]


def _labelled(chart: Chart) -> list[int]:
    """The stretches of time that get a label: midnights for hours, else as they come."""
    if chart.step is not Step.HOUR:
        return list(range(len(chart.bins)))
    midnights = [i for i, begins in enumerate(chart.bins) if begins.hour == 0]
    few = [i for i, begins in enumerate(chart.bins) if begins.hour % 6 == 0]
    return few if len(midnights) <= 2 else midnights


def _time(begins: datetime, step: Step) -> str:
    if step is Step.HOUR:
        return f"{begins:%d %b}" if begins.hour == 0 else f"{begins:%d %b %H:%M}"
    return f"{begins:%b %Y}" if step is Step.MONTH else f"{begins:%d %b %y}"


def _number(value: float) -> str:
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            return f"{value / (1e3 if letter == 'k' else limit):g}{letter}"
    return f"{value:g}"


def _shorten(name: str) -> str:
    name = name or "(none)"
    return name if len(name) <= _LONGEST_NAME else name[: _LONGEST_NAME - 1] + "…"
