"""The asset ``klaviyo_report``, which writes the report to its file."""
# No `from __future__ import annotations` here: Dagster reads an asset's resources off its signature.

from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.accounts.parts import AccountParts
from klaviyo_pipeline.orchestration.account import Naming
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.private_files import write_over
from klaviyo_pipeline.report.model import Report
from klaviyo_pipeline.status import wording
from klaviyo_pipeline.status.assets import STATUS, repository_of
from klaviyo_pipeline.status.scope import Scope

REPORT = "report"


def report_file(account: AccountParts | None = None) -> Path:
    """The file of the report: of the project, or of an account in a project of others.

    Raises:
        ConfigurationError: if the environment names no file.
    """
    given = environment.REPORT.value
    if account is None:
        return Path(given) if given else KlaviyoDuckDBResource().warehouse().local.with_name("klaviyo-report.html")
    if given:  # several accounts share the variable
        return Path(given).with_stem(f"{Path(given).stem}-{account.name}")
    return account.duckdb.warehouse().local.with_name(f"{account.name}-report.html")


def write_report(report: Report, file: Path) -> int:
    """Write the report to a file that only its owner can read at first. Returns its size in bytes.

    Raises:
        ConfigurationError: if the file is no report.
        OSError: if it cannot be written.
    """
    from klaviyo_pipeline.report.html import html_of, is_report

    content = html_of(report).encode()
    write_over(file, content, is_report)
    return len(content)


def build_report_asset(naming: Naming, scope: Callable[[], Scope]) -> dg.AssetsDefinition:
    """The asset. It follows from the state of the tables only, so that it is made when loads fail too."""

    @dg.asset(
        key=naming.overview_key(REPORT),
        group_name=f"{naming.group}_overview",
        kinds={"klaviyo", "report"},
        owners=naming.owners_or_default(),
        deps=[naming.overview_key(STATUS)],
        description="One HTML file: the state of the tables, charts over the last 90 days, the comparison with "
        "Klaviyo's counts, checks, and what changed since yesterday. Sums and names only, no data about people.",
    )
    def klaviyo_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from klaviyo_pipeline.report.gather import gather

        with plain_failures():
            about = scope()
            report, file = gather(repository_of(context), context.instance, about), report_file(about.guest)
            size = write_report(report, file)
        context.log.info(f"Wrote the report to {file}.")
        return dg.MaterializeResult(metadata=_metadata(report, file, size))

    return klaviyo_report


def _metadata(report: Report, file: Path, size: int) -> dict[str, Any]:
    address = environment.REPORT_URL.value
    return {
        **({"report": dg.MetadataValue.url(address)} if address else {}),
        "file": dg.MetadataValue.path(str(file.absolute())),
        "summary": wording.verdict(report.status),
        "tables_with_problems": len(report.status.problems),
        "failed_checks": len(report.failed),
        "bytes": size,
    }
