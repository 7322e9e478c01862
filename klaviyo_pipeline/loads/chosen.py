"""Loads of some rows of a collection only, such as the events of some metrics.

The ledger keeps the metrics of each load. So each metric has a watermark of its own, and a metric that is added later
gets its history first: one load of its own up to the watermark of the others, then one load of all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.similar import similar
from klaviyo_pipeline.times import parse_time

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.catalogue.model import Choice
    from klaviyo_pipeline.loads.model import Load
    from klaviyo_pipeline.warehouse.ledger import Loads

LONG = timedelta(days=7)
"""A longer window is read metric by metric, because only a load of one metric can land in parts."""
APART = timedelta(hours=1)
"""A merge reads metrics whose watermarks differ by no more than this in one load, from the earliest watermark on."""
_NEAR = 5


def resolve(choice: Choice, words: Iterable[str], names: Mapping[str, str]) -> dict[str, str]:
    """The ids and names that words stand for, sorted by id. A name that several rows have means all of them.

    Args:
        choice: The setting.
        words: Names or ids.
        names: All names at Klaviyo, by id.

    Raises:
        ConfigurationError: for words that are neither a name nor an id, with similar names.
    """
    found: dict[str, str] = {}
    unknown = []
    for word in dict.fromkeys(words):
        ids = [id_ for id_, name in names.items() if word in (id_, name)]
        found |= {id_: names[id_] for id_ in ids}
        if not ids:
            unknown.append(_unknown(choice, word, names))
    if unknown:
        raise ConfigurationError(" ".join(unknown))
    return dict(sorted(found.items()))


def _unknown(choice: Choice, word: str, names: Mapping[str, str]) -> str:
    like = ", ".join(map(repr, similar(word, sorted(set(names.values())), _NEAR)))
    return f"The account has no {choice.noun} {word!r} ({choice.setting}){f'; similar names: {like}' if like else ''}."


def loads_of(load: Load, loads: Loads) -> Iterator[Load]:
    """Divide a load of chosen rows into loads that are fetched and landed one after another; often it is one.

    Args:
        load: The load, with the chosen ids.
        loads: Its earlier loads.

    Raises:
        ConfigurationError: for an end that cannot be read.
    """
    wanted = load.request
    now = load.now or clock.now()
    load = replace(load, now=now)  # all windows end at one time
    field = wanted.source.time_field(wanted.filter_by)
    ids = tuple(load.chosen or ())
    if wanted.clears_table or not load.moves_watermark or field is None:
        yield load
        return
    if not wanted.continues or load.partition is not None:
        yield from _one_by_one(load, ids) if _is_long(load, now) else [load]
        return
    ends = {each: loads.last_end(field.name, now, one=each) for each in ids}
    reached = max((end for end in ends.values() if end is not None), default=None)
    if reached is None:
        yield from _one_by_one(load, ids)
        return
    apart = APART if wanted.merges else timedelta(0)
    behind = [each for each, end in ends.items() if end is None or end < reached - apart]
    if behind and wanted.end_time:
        reached = min(reached, parse_time(wanted.end_time, load.place.zone, "end_time"))
    history = replace(load, request=replace(wanted, end_time=reached.isoformat()))
    yield from _one_by_one(history, behind)
    yield load


def _one_by_one(load: Load, ids: Iterable[str]) -> Iterator[Load]:
    return (replace(load, chosen={each: (load.chosen or {})[each]}) for each in ids)


def _is_long(load: Load, now: datetime) -> bool:
    zone, wanted = load.place.zone, load.request
    start, end = load.partition or (None, None)
    if wanted.start_time or wanted.begin:
        start = parse_time(wanted.start_time or wanted.begin or "", zone, "start_time")
    if wanted.end_time or wanted.until:
        end = parse_time(wanted.end_time or wanted.until or "", zone, "end_time")
    return start is None or (end or now) - start > LONG


def earliest_end(
    loads: Loads, filter_field: str, chosen: Iterable[str] | None, not_after: datetime | None
) -> datetime | None:
    """The watermark of a load: the earliest of the chosen ones. None if one of them has not landed yet."""
    if chosen is None:
        return loads.last_end(filter_field, not_after)
    ends = [loads.last_end(filter_field, not_after, one=each) for each in chosen]
    known = [end for end in ends if end is not None]
    return min(known) if known and len(known) == len(ends) else None
