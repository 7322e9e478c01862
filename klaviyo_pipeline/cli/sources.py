"""`sources`: the data sources, their options, limits and scopes."""

from __future__ import annotations

from typing import Any

import click

from klaviyo_pipeline.cli.output import as_json, print_json, print_pairs, print_table


@click.command()
@click.argument("name", required=False)
@as_json
def sources(name: str | None, json_: bool) -> None:
    """List the data sources with their options, rate limits and scopes, or show the data source NAME in detail."""
    from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, source_named
    from klaviyo_pipeline.klaviyo.catalogue.revisions import DEFAULT_REVISION
    from klaviyo_pipeline.transfers.file.model import options_of, source_name

    chosen = [source_named(source_name(name))] if name else list(SOURCES.values())
    described: list[dict[str, Any]] = []
    for source in chosen:
        limit = source.tier_for(DEFAULT_REVISION, frozenset())
        described.append(
            {
                "source": source.name,
                "title": source.title,
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
    headers = ["source", "options", "filter by", "limit", "scopes"]
    rows = [
        [
            each["source"],
            ", ".join(each["options"]),
            ", ".join(text.split()[0] for text in each["filter_by"]),
            f"{each['requests_per_second']}/s, {each['requests_per_minute']}/min"
            + (f", {each['requests_per_day']}/day" if each["requests_per_day"] else ""),
            ", ".join(each["scopes"]),
        ]
        for each in described
    ]
    print_table(headers, rows, widest=100)


def _show(source: dict[str, Any]) -> None:
    print_pairs(
        [
            ("Source", source["source"]),
            ("What", source["description"]),
            ("Filter by", source["filter_by"]),
            ("Primary key", source["primary_key"]),
            ("Scopes", source["scopes"]),
            ("Limit", f"{source['requests_per_second']} a second, {source['requests_per_minute']} a minute"),
            ("Documentation", source["documentation"]),
        ]
    )
    click.echo("\nOptions")
    for option, about in source["options"].items():
        default = "" if about["default"] is None else f" (default {str(about['default']).lower()})"
        click.echo(f"  {option}{default}: {about['what']}")
    click.echo("\nColumns")
    click.echo("  " + ", ".join(f"{column['name']}:{column['type']}" for column in source["columns"]))
