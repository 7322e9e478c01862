"""`account`: the accounts of klaviyo.yml; and the option that chooses one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from klaviyo_pipeline.cli.output import as_json, cell, print_json, print_table, warn

if TYPE_CHECKING:
    from klaviyo_pipeline.accounts.parts import AccountParts

of_account = click.option(
    "--account", default=None, help="An account of klaviyo.yml, or default.  [default: the only one]"
)


@click.group()
def account() -> None:
    """Accounts of the project, in klaviyo.yml (KLAVIYO_ACCOUNTS): assets, checks and schedules of each."""


@account.command("list")
@as_json
def list_(json_: bool) -> None:
    """List the accounts, without their keys. A wrong account is listed with the reason. Exit code 1 if one is wrong."""
    from klaviyo_pipeline.accounts.file import BrokenAccount, read_accounts
    from klaviyo_pipeline.accounts.parts import project_accounts

    broken = [each for each in read_accounts() if isinstance(each, BrokenAccount)]
    found = [_as_dict(each) for each in project_accounts(report=False)]
    if json_:
        print_json([*found, *({"name": each.name, "error": str(each.error)} for each in broken)])
        sys.exit(1 if broken else 0)
    headers = ["name", "variable", "is set", "database", "schema", "assets", "first day", "timezone", "sources"]
    rows = [[*list(each.values())[:-1], len(each["sources"])] for each in found]
    print_table(headers, [*rows, *([each.name, "", "", "", "", "broken", "", "", ""] for each in broken)])
    for each in broken:
        click.echo(str(each.error), err=True)
    sys.exit(1 if broken else 0)


def _as_dict(parts: AccountParts) -> dict[str, Any]:
    import os

    from klaviyo_pipeline import environment

    variable = parts.klaviyo.api_key_variable or environment.API_KEY.name
    return {
        "name": parts.name,
        "variable": variable,
        "is_set": bool(os.environ.get(variable, "").strip()),
        "database": parts.duckdb.warehouse().name,
        "schema": parts.duckdb.schema_or_default,
        "assets": "/".join(parts.naming.key_prefix),
        "first_day": parts.first_day,
        "timezone": parts.duckdb.zone.key,
        "sources": list(parts.naming.chosen()),
    }


@account.command()
@click.argument("name")
@click.option("--api-key-env", required=True, metavar="VARIABLE", help="Environment variable with the private API key.")
@click.option("--base-url", default=None, help="Address of the API, such as that of a sandbox.")
@click.option("--database", default=None, help="The DuckDB file.")
@click.option("--schema", "schema_", default=None, help="The schema of the tables.  [default: NAME]")
@click.option("--first-day", default=None, help="Day of the first partition, YYYY-MM-DD.")
@click.option("--timezone", default=None, help="Storage time zone, an IANA name.")
@click.option("--source", "sources", multiple=True, help="A data source, or a pattern. Give it several times.")
@as_json
def add(name: str, api_key_env: str, sources: tuple[str, ...], json_: bool, **given: str | None) -> None:
    """Add the account NAME to klaviyo.yml. Creates the file if it is missing, and changes nothing else in it."""
    from klaviyo_pipeline.accounts.editing import add_account
    from klaviyo_pipeline.orchestration.automation.reloading import reload_or_advice

    settings: dict[str, Any] = {"api_key_env": api_key_env}
    settings |= {key.removesuffix("_"): value for key, value in given.items() if value is not None}
    settings |= {"sources": list(sources)} if sources else {}
    file = add_account(name, settings)
    if json_:
        print_json({"name": name, "file": str(file), **settings})
        return
    click.echo(f"Added {name} to {file}. Check its key: klaviyo-pipeline account check {name}")
    click.echo(reload_or_advice())


@account.command()
@click.argument("name", required=False)
@as_json
def check(name: str | None, json_: bool) -> None:
    """Check NAME, or every account: its settings, its key, and the data sources that the key may read.

    Exit code 1 if a key may not read a data source that is an asset, or an account is wrong.
    """
    from dataclasses import asdict

    from klaviyo_pipeline.accounts.checking import check_accounts

    found = check_accounts(name)
    if json_:
        print_json([{**asdict(each), "ok": each.ok} for each in found])
    else:
        print_table(
            ["name", "Klaviyo's account", "may read", "wrong"],
            [[each.name, each.account, cell(each.readable), "; ".join(each.problems)] for each in found],
            widest=200,
        )
        for each in found:
            for sentence in each.warnings:
                warn(sentence)
    sys.exit(0 if all(each.ok for each in found) else 1)


@account.command()
def schema() -> None:
    """Print the JSON Schema of klaviyo.yml, for editors."""
    from klaviyo_pipeline.accounts.json_schema import json_schema

    print_json(json_schema())
