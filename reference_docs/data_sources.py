"""`data-sources.md`: each data source of the catalogue: how it is read, and every column of its table."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from klaviyo_pipeline.klaviyo.catalogue.columns import Column, Since
from klaviyo_pipeline.klaviyo.catalogue.model import Option, Source, Tier
from klaviyo_pipeline.klaviyo.catalogue.registry import DEFAULT, SOURCES, parent_of
from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
from klaviyo_pipeline.loads.table import DUCKDB_TYPES, EXTRA_COLUMN
from klaviyo_pipeline.orchestration.assets.build import asset_key, partition_key_of
from klaviyo_pipeline.orchestration.assets.config import config_class
from klaviyo_pipeline.warehouse.ledger import LEDGER
from klaviyo_pipeline.warehouse.quota import QUOTA_REQUESTS
from klaviyo_pipeline.warehouse.tables import DELETED_AT_COLUMN, SYSTEM_COLUMNS
from reference_docs.markdown import code, codes, described, fields_table, table

T = TypeVar("T")
INTRO = f"""\
# Data sources

This page lists the columns of each data source, and how a run reads it. `KLAVIYO_SOURCES` chooses the data sources
that are assets and that `load --all` loads. Transfers can use any data source. The variable takes names, patterns
such as `catalog_*`, and the groups `core`, `default` and `all`, separated by commas. `-name` removes one. A value
that begins with `+` or `-` changes the default: `-forms, +segment_profiles`.

- `core` has the data sources that most reports need. If the key may not read one of them, its run fails.
- `default` adds all attributions of events, the account with its time zone and currency, the metrics that count as
  revenue, custom metrics, segments, flows, forms, tags and tag groups. Each takes few requests (a page has 10 to 100
  rows), and events and campaigns refer to them.
- The others are off by default, because they take a request for each row of another table (`segment_profiles`,
  `metric_properties`, `coupon_codes`), can be as large as profiles, hold personal data, exist in few accounts, or
  spend a daily quota that other programs of the account share (the reports).

If the key may not read a data source beyond `core`, or the revision does not have it yet, the run skips it, with a line
in the log and an observation of its asset. Its table does not change.

Tables with `observed_at`, such as `list_counts`, keep a history: each load adds rows, and changes none. The replace
modes are refused. `suppressions` and `profile_predictions` read profiles in requests of their own, so that loads of
`profiles` are neither slower nor larger. An incremental load of `suppressions` finds new ones, and a full read, once
a week by the schedules, finds who is no longer suppressed.

Some tables are made from what the rows of another one hold, such as `event_attributions` from `events`. They take no
requests of their own and land in the same transaction. Both are assets of one op: a run that selects one of them loads
both. If a row no longer holds a child, the load sets the child's `_deleted_at`. A row that has not changed changes no
child. Child tables always merge. A transfer of a child table, or `KLAVIYO_SOURCES` without its parent, reads the
parent's pages for the child alone.

Limits, page sizes and filters come from Klaviyo's OpenAPI documents for the default revision, {DEFAULT_REVISION}. If
a value changed, the page names the first revision with another value. `klaviyo-pipeline sources NAME` prints the same
on a terminal, and DuckDB has the descriptions as comments: `select column_name, comment from duckdb_columns()`.
"""

EVERY_TABLE = """\
## Columns of every table

Every table has these columns besides those of its data source:
"""
LEDGER_TEXT = """\
## The ledger

The table `klaviyo_pipeline.ledger` is in the same database. It has one row for each load, written in the transaction
that landed its rows.
"""


QUOTA_TEXT = """\
## Requests of the daily quota

`klaviyo_pipeline.quota_requests`, in the same database: one row for each report request of the last week, written
before the request was sent.
"""


def page() -> str:
    """The page's text."""
    parts = [INTRO, _overview()]
    for source in SOURCES.values():
        parts += [f"## `{source.name}`\n", *_source(source)]
    system = [
        (column.name, column.type, column.comment) for column in (*SYSTEM_COLUMNS, EXTRA_COLUMN, DELETED_AT_COLUMN)
    ]
    ledger = [(column.name, column.type, column.comment) for column in LEDGER.columns]
    quota = [(column.name, column.type, column.comment) for column in QUOTA_REQUESTS.columns]
    return "\n".join(
        [*parts, EVERY_TABLE, _columns(system), LEDGER_TEXT, _columns(ledger), QUOTA_TEXT, _columns(quota)]
    )


def _overview() -> str:
    rows = [
        [
            f"[`{source.name}`](#{source.name})",
            source.title,
            "yes" if source.name in DEFAULT else "",
            "by day" if source.partitioned_by_day else "",
            codes(source.primary_key),
            codes(source.scopes),
        ]
        for source in SOURCES.values()
    ]
    return table(["data source", "in Klaviyo", "by default", "partitioned", "primary key", "scopes of the key"], rows)


def _source(source: Source) -> list[str]:
    facts = [
        ("Asset", code(asset_key(source).to_user_string())),
        ("Table", code(f"klaviyo.{source.name}")),
        ("Endpoint", f"`{'POST' if source.report else 'GET'} {source.path}` ([Klaviyo's documentation]({source.doc}))"),
        ("Depends on", _follows(source)),
        ("Comes along with", _comes_along(source)),
        *_report(source),
        ("Scopes", codes(source.scopes)),
        ("Available", f"from revision {source.since} on" if source.since else ""),
        ("Rate limit", _limit(source)),
        ("Page size", _history(source.page_size, lambda size: str(size) if size else "Klaviyo's own")),
        ("Primary key", codes(source.primary_key)),
        ("Required columns", codes(source.required_columns)),
        (
            "Version",
            f"`{source.version_column}`: a row never returns to an older version" if source.version_column else "",
        ),
        (
            "Windows over" if source.child and source.child.parent in SOURCES else "Time fields",
            "; ".join(_time_field(source, index) for index in range(len(source.time_fields))),
        ),
        ("Partitions", _partitions(source)),
        ("A run without a window", _run(source)),
        ("Lookback", f"{source.lookback_days} days" if source.lookback_days else ""),
        ("Fixed filters", _streams(source)),
        ("One cursor more for", _per_parent(source)),
        ("Only these attributes", codes(source.fields)),
        ("Other endpoints", "; ".join(code(part.path) for part in source.parts[1:])),
        ("Included (`include`)", _includes(source)),
        ("History", f"each load adds rows, with its time in `{source.observed_at}`" if source.observed_at else ""),
        ("Deletions", "a full read marks rows that Klaviyo no longer has" if source.shows_deletions else ""),
    ]
    columns = [
        (
            column.name,
            DUCKDB_TYPES[column.type],
            described(column.description, f"column {source.name}.{column.name}")
            + _option_note(source, column.option)
            + _documented_values(column),
        )
        for column in source.columns
    ]
    return [
        described(source.description, source.name) + "\n",
        table(["", ""], [[name, value] for name, value in facts if value]),
        "**Columns**\n",
        _columns(columns),
        "**Run config**\n",
        fields_table(config_class(source.name), what=source.name),
    ]


def _columns(columns: list[tuple[str, str, str]]) -> str:
    rows = [[code(name), kind, described(text, f"column {name}")] for name, kind, text in columns]
    return table(["column", "type", "meaning"], rows)


def _option_note(source: Source, name: str | None) -> str:
    if name is None:
        return ""
    option = _option(source, name)
    return f" Needs `{option.setting}` (the default)." if option.default else f" Only with {_on(option)}."


def _option(source: Source, name: str) -> Option:
    return next(option for option in source.options if option.name == name)


def _on(option: Option) -> str:
    return f"`{option.setting}: {str(option.value_of(True)).lower()}`"


def _documented_values(column: Column) -> str:
    texts = [
        f"{'Documented values' if not allowed.at else f'Documented values of `{allowed.at}`'}: "
        f"{codes(sorted(allowed.values))}."
        for allowed in column.allowed
    ]
    return "".join(f" {text}" for text in texts)


def _tier(tier: Tier) -> str:
    a_day = f", {tier.daily} a day" if tier.daily is not None else ""
    return f"{tier.burst} requests a second, {tier.steady} a minute{a_day}"


def _limit(source: Source) -> str:
    text = _history(source.tier, _tier)
    slower = [f"with `{option.setting}` {_tier(option.tier)}" for option in source.options if option.tier]
    return "; ".join([text, *slower])


def _history(history: Since[T], say: Callable[[T], str]) -> str:
    newest_first = list(reversed(history))
    texts = []
    for index, (first, value) in enumerate(newest_first):
        since = f" (from revision {first})" if first else (" before that" if index else "")
        texts.append(say(value) + since)
    return "; ".join(texts) if any(value is not None for _first, value in history) else ""


def _time_field(source: Source, index: int) -> str:
    field = source.time_fields[index]
    default = ", the default" if index == 0 and len(source.time_fields) > 1 else ""
    operators, named = codes(sorted(field.operators)), f" of `{field.field}`" if field.field else ""
    return f"`{field.name}` (`filter_by: {field.filter_by.value}`{default}; Klaviyo takes {operators}{named})"


def _follows(source: Source) -> str:
    follows = source.fan_out
    if follows is None:
        return ""
    if source.report is not None and source.report.role:
        return f"the metric that plays the role `{source.report.role}` in `{follows.parent}`, or `{follows.setting}`"
    if follows.batch is None:
        return f"each row of `{follows.parent}`, one cursor each"
    many = f", {follows.chunk} ids a request" if follows.chunk else ", which is read in full"
    how = f"resolved from `{follows.batch}`{many}; one request for each id in a run config"
    return f"`{follows.parent}.{follows.key}`: {how}"


def _report(source: Source) -> list[tuple[str, str]]:
    """What only a report has."""
    report = source.report
    if report is None:
        return []
    days = f"{report.longest_days} days" + (f", {report.overlap_days} of them again" if report.overlap_days else "")
    return [
        ("One row for each", codes(report.grain)),
        ("Days", "of the account's time zone"),
        ("One request reads", f"one of {codes(report.windows)}" if report.windows else f"up to {days}"),
        ("The first load reads", "" if report.windows else f"{report.history_days} days"),
        ("Daily quota", f"{report.quota.a_day} requests in 24 hours, shared by all reports" if report.quota else ""),
    ]


def _comes_along(source: Source) -> str:
    of = source.child
    if of is None or of.parent not in SOURCES:
        return ""
    option = _option(parent_of(source), of.option) if of.option else None
    return f"`{of.parent}`, in its requests and its transaction" + (f", with {_on(option)}" if option else "")


def _partitions(source: Source) -> str:
    column = partition_key_of(source)
    days = f"days of `{column}`" if column or source.child is None else f"those of `{source.child.parent}`"
    return days if source.partitioned_by_day else ""


def _run(source: Source) -> str:
    if source.child is not None and source.child.parent in SOURCES:
        return f"as `{source.child.parent}`"
    if source.partitioned_by_day:
        return "the partition, or the range of partitions"
    return "starts at the watermark minus the lookback" if source.incremental else "reads everything"


def _streams(source: Source) -> str:
    sets = [" and ".join(code(condition) for condition in stream) for stream in source.streams[0][1] if stream]
    return "one cursor for each of: " + "; ".join(sets) if sets else ""


def _per_parent(source: Source) -> str:
    read = parent_of(source) if source.child is not None else source
    per = read.per_parent
    return f"each row of `{per.parent}`, by `{per.field}` and `{per.time_field.in_filters}`" if per else ""


def _includes(source: Source) -> str:
    texts = []
    for include in source.includes:
        notes = [
            f"from revision {include.since}" if include.since else "",
            f"with {_on(_option(source, include.option))}" if include.option else "",
        ]
        noted = ", ".join(note for note in notes if note)
        texts.append(f"`{include.name}`" + (f" ({noted})" if noted else ""))
    added = [(name, option) for option in source.options for name in option.added_fields]
    return "; ".join([*texts, *(f"`{name}` with {_on(option)}" for name, option in added)])
