"""`check`: checks everything that a run needs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from klaviyo_pipeline.cli.folder import transfers_folder
from klaviyo_pipeline.cli.output import as_json, print_json, printable

if TYPE_CHECKING:
    from klaviyo_pipeline.transfers.setup_check import Finding


@click.command()
@as_json
def check(json_: bool) -> None:
    """Check settings, transfers, the database, and every account in use. Exit code 1 if anything is wrong."""
    from klaviyo_pipeline.transfers.setup_check import check_all

    findings = [*check_all(transfers_folder()), *_zone_rules()]
    if json_:
        print_json([asdict(finding) for finding in findings])
    else:
        for finding in findings:
            click.echo(printable(f"{_label(finding)} {finding.what}: {finding.text}"))
    sys.exit(0 if all(finding.ok for finding in findings) else 1)


def _label(finding: Finding) -> str:
    return "WRONG " if not finding.ok else "warning" if finding.warning else "ok    "


def _zone_rules() -> Iterator[Finding]:
    """Compare DuckDB's and tzdata's rules for the storage and the account's time zone. A difference is a warning."""
    from klaviyo_pipeline.analytics.account import zone_of_tables
    from klaviyo_pipeline.errors import ConfigurationError
    from klaviyo_pipeline.loads.zone_rules import disagreement
    from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
    from klaviyo_pipeline.transfers.setup_check import Finding
    from klaviyo_pipeline.warehouse.errors import WarehouseError

    database = KlaviyoDuckDBResource(lock_timeout_s=10)
    try:
        zones = {database.zone.key: database.zone}
        account = zone_of_tables(database)
        zones[account.key] = account
    except ConfigurationError:
        return  # the finding about the setting reports it
    except WarehouseError:
        pass  # the finding about the database reports it
    for name, zone in sorted(zones.items()):
        differs = disagreement(zone)
        text = differs or "DuckDB and tzdata have the same rules"
        yield Finding(f"time zone {name}", True, text, warning=bool(differs))
