"""The asset ``klaviyo_report``, which writes the report to its file."""
# No `from __future__ import annotations` here: Dagster reads an asset's resources off its signature.

from pathlib import Path
from typing import Any

import dagster as dg

from klaviyo_pipeline import environment
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.orchestration.resources import KlaviyoDuckDBResource
from klaviyo_pipeline.private_files import write_private
from klaviyo_pipeline.report.model import Report
from klaviyo_pipeline.status import wording
from klaviyo_pipeline.status.assets import GROUP, STATUS, repository_of
from klaviyo_pipeline.transfers.folder import Folder

REPORT = "klaviyo_report"
_NAME = "klaviyo-report.html"


def report_file() -> Path:
    """The file of the report.

    Raises:
        ConfigurationError: if the environment names no file.
    """
    given = environment.REPORT.value
    return Path(given) if given else KlaviyoDuckDBResource().warehouse().local.with_name(_NAME)


def write_report(report: Report, file: Path) -> int:
    """Write the report to a file that only its owner can read at first. Returns its size in bytes.

    Raises:
        OSError: if it cannot be written.
    """
    from klaviyo_pipeline.report.html import html_of

    content = html_of(report).encode()
    write_private(file, content)
    return len(content)


def build_report_asset() -> dg.AssetsDefinition:
    """The asset. It follows from the state of the tables only, so that it is made when loads fail too."""

    @dg.asset(
        key=REPORT,
        group_name=GROUP,
        kinds={"klaviyo", "html"},
        owners=environment.owners(),
        deps=[STATUS],
        description="One HTML file: the state of the tables, charts over the last 90 days, the comparison with "
        "Klaviyo's counts, checks, and what changed since yesterday. Sums and names only, no data about people.",
    )
    def klaviyo_report(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from klaviyo_pipeline.report.gather import gather

        with plain_failures():
            report, file = gather(repository_of(context), context.instance, Folder()), report_file()
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
