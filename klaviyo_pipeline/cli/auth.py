"""`auth`: the Klaviyo accounts, and the data sources that their keys may read."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from klaviyo_pipeline.cli.output import as_json, print_json, print_pairs, print_table, warn


@click.group()
def auth() -> None:
    """Klaviyo accounts: the default account of KLAVIYO_API_KEY, and others in authentications.yml."""


@auth.command("list")
@as_json
def list_(json_: bool) -> None:
    """List the configured accounts, without their keys."""
    import os

    from klaviyo_pipeline.transfers.file.authentications import read_authentications

    found = [
        {
            "name": each.name,
            "variable": each.variable,
            "is_set": bool(os.environ.get(each.variable, "").strip()),
            "base_url": each.base_url,
            "revision": each.revision,
        }
        for each in read_authentications().values()
    ]
    if json_:
        print_json(found)
    else:
        print_table(list(found[0]), [list(each.values()) for each in found], widest=60)


@auth.command("check")
@click.argument("name", default="default")
@as_json
def check_(name: str, json_: bool) -> None:
    """Show the account of NAME's key, the data sources that it may read, the revision that answers, and rate limits.

    Exit code 1 if the key may not read a data source.
    """
    from klaviyo_pipeline import environment
    from klaviyo_pipeline.klaviyo.catalogue.revisions import revision_text
    from klaviyo_pipeline.klaviyo.endpoints.key_check import check_account
    from klaviyo_pipeline.transfers.setup_check import client_of, other_days

    report = check_account(client_of(name), environment.sources())
    if warning := other_days(report.timezone):
        warn(warning)
    if json_:
        print_json({"name": name, "ok": report.ok, **asdict(report)})
        sys.exit(0 if report.ok else 1)
    print_pairs(
        [
            ("Authentication", name),
            ("Account", f"{report.account or 'not shown: the key lacks accounts:read'} {report.account_id}".strip()),
            ("Address", report.base_url),
            ("Revision", revision_text(report.revision, report.answered)),
            ("Served until", report.sunset),
            ("Time zone", report.timezone),
        ]
    )
    rows = [
        [
            each.source,
            ", ".join(each.scopes),
            "readable" if each.ok else f"missing {', '.join(each.missing)}" if each.missing else each.problem,
            f"{each.per_second}/s, {each.per_minute}/min" if each.per_minute else "",
        ]
        for each in report.sources
    ]
    print_table(["source", "scopes", "", "limits seen"], rows, widest=100)
    sys.exit(0 if report.ok else 1)
