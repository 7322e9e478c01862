"""`sources`: the data sources, their options, limits and scopes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline.cli.account import of_account
from klaviyo_pipeline.cli.output import as_json, print_json, print_pairs, print_table

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.catalogue.model import Source


@click.command()
@click.argument("name", required=False)
@of_account
@as_json
def sources(name: str | None, account: str | None, json_: bool) -> None:
    """List the data sources with their options, rate limits and scopes, or show the data source NAME in detail."""
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, source_named
    from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
    from klaviyo_pipeline.transfers.file.model import options_of, source_name

    chosen = [source_named(source_name(name))] if name else list(SOURCES.values())
    assets = _assets(account)
    described: list[dict[str, Any]] = []
    for source in chosen:
        limit = source.tier_for(DEFAULT_REVISION, frozenset())
        described.append(
            {
                "source": source.name,
                "title": source.title,
                "group": group_of(source.name),
                "chosen": source.name in assets,
                "read": how_read(source),
                "description": source.description,
                "options": {
                    option: {"default": None if field.is_required() else field.default, "what": field.description}
                    for option, field in options_of(source).items()
                },
                "filter_by": [f"{each.filter_by} ({each.name})" for each in source.time_fields],
                "primary_key": list(source.primary_key),
                "scopes": list(source.scopes),
                "requests_per_second": limit.burst,
                "requests_per_minute": limit.steady,
                "requests_per_day": limit.daily,
                "columns": [{"name": column.name, "type": column.type.value} for column in source.columns],
                "documentation": source.doc,
            }
        )
    if json_:
        print_json(described)
        return
    if name:
        _show(described[0])
        return
    headers = ["source", "group", "read", "filter by", "limit", "scopes"]
    rows = [
        [
            each["source"] + (" *" if each["chosen"] else ""),
            each["group"],
            each["read"],
            ", ".join(text.split()[0] for text in each["filter_by"]),
            _limit(each, "/s", "/min", "/day"),
            ", ".join(each["scopes"]),
        ]
        for each in described
    ]
    print_table(headers, rows, widest=100)
    click.echo(
        "* is an asset: KLAVIYO_SOURCES or the account chooses it. Options and columns: klaviyo-pipeline sources NAME"
    )


def _assets(account: str | None) -> set[str]:
    """The data sources that are assets: those of one account, or of any without a name."""
    from klaviyo_pipeline.accounts.parts import account_parts, project_accounts

    accounts = project_accounts(report=False) if account is None else [account_parts(account)]
    return {name for each in accounts for name in each.naming.chosen()}


def group_of(name: str) -> str:
    """The group that a data source is loaded with: core, default, or opt-in for what a person has to choose."""
    from klaviyo_pipeline.klaviyo.catalogue.registry import GROUPS

    return next((group for group, names in GROUPS.items() if name in names), "opt-in")


def how_read(source: Source) -> str:
    """What its requests depend on, in words; blank for one collection."""
    if source.child is not None:
        return f"with {source.child.parent}"
    if source.report is not None:
        return "as a report"
    if source.fan_out is not None and source.fan_out.batch is not None:
        return f"from the {source.fan_out.parent} that have landed"
    if source.fan_out is not None:
        return f"for each {source.fan_out.noun}"
    return ""


def _limit(source: dict[str, Any], *units: str) -> str:
    numbers = (source["requests_per_second"], source["requests_per_minute"], source["requests_per_day"])
    joint = " " if units[0][0].isalpha() else ""
    return ", ".join(f"{number}{joint}{unit}" for number, unit in zip(numbers, units, strict=True) if number)


def _show(source: dict[str, Any]) -> None:
    print_pairs(
        [
            ("Source", source["source"]),
            ("What", source["description"]),
            ("Group", source["group"] + (", chosen" if source["chosen"] else ", not chosen")),
            ("Read", source["read"]),
            ("Filter by", source["filter_by"]),
            ("Primary key", source["primary_key"]),
            ("Scopes", source["scopes"]),
            ("Limit", _limit(source, "a second", "a minute", "a day")),
            ("Documentation", source["documentation"]),
        ]
    )
    click.echo("\nOptions")
    for option, about in source["options"].items():
        default = "" if about["default"] is None else f" (default {str(about['default']).lower()})"
        click.echo(f"  {option}{default}: {about['what']}")
    click.echo("\nColumns")
    click.echo("  " + ", ".join(f"{column['name']}:{column['type']}" for column in source["columns"]))
