"""The asset ``klaviyo_status``, whose page shows the table of the command ``status``."""
# No `from __future__ import annotations` here: Dagster reads an asset's resources off its signature.

from typing import TYPE_CHECKING, Any

import dagster as dg

from klaviyo_pipeline.orchestration.account import Naming
from klaviyo_pipeline.orchestration.failures import plain_failures
from klaviyo_pipeline.redaction import redact
from klaviyo_pipeline.status import wording
from klaviyo_pipeline.status.model import Status

if TYPE_CHECKING:
    from collections.abc import Callable

    from dagster import RepositoryDefinition

    from klaviyo_pipeline.status.scope import Scope

STATUS = "status"


def build_status_asset(naming: Naming, scope: "Callable[[], Scope]") -> dg.AssetsDefinition:
    """The asset. It follows from no other asset, so that it is made when loads fail too."""

    @dg.asset(
        key=naming.overview_key(STATUS),
        group_name=f"{naming.group}_overview",
        kinds={"klaviyo", "dashboard"},
        owners=naming.owners_or_default(),
        description="Is everything in, fresh, and free of errors? One line for each table, as klaviyo-pipeline status "
        "prints it. Times are UTC.",
    )
    def klaviyo_status(context: dg.AssetExecutionContext) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from klaviyo_pipeline.status.gather import gather

        with plain_failures():
            found = gather(repository_of(context), context.instance, scope())
        for sentence in (*wording.errors(found), wording.verdict(found)):
            context.log.info(redact(sentence))
        return dg.MaterializeResult(metadata=status_metadata(found))

    return klaviyo_status


def repository_of(context: dg.AssetExecutionContext) -> "RepositoryDefinition | None":
    """The definitions of a run's code location; None in a run that a command executes in its own process."""
    try:
        return context.repository_def
    except dg.DagsterInvariantViolationError:
        return None
    except Exception as error:  # Dagster's check of its own arguments, which it does not export
        if type(error).__name__ != "CheckError":
            raise
        return None


def status_metadata(found: Status) -> dict[str, Any]:
    """The state as metadata: the table, which Dagster shows at once, errors, and numbers that it plots over time."""
    return {
        "status": _table(found, ("table", "state", "rows", "newest row", "lag")),
        "loads": _table(found, ("table", "last load", "next run", "late by", "limit used")),
        **{f"error: {each.asset}": redact(each.error) for each in found.tables if each.error},
        "summary": " ".join((wording.verdict(found), *found.warnings)),
        "tables": len(found.tables),
        "tables_with_problems": len(found.problems),
        "disk_megabytes": round(sum(each.bytes for each in found.disk) / 1e6, 1),
        **{f"{each.quota}_left_of_account_{each.account}": each.left for each in found.quotas},
    }


def _table(found: Status, headers: tuple[str, ...]) -> dg.MetadataValue[Any]:
    """Some columns of the table: Dagster's page has room for five."""
    rows = [dict(zip(wording.HEADERS, wording.row(each), strict=True)) for each in found.tables]
    records = [dg.TableRecord({name: redact(row[name]) for name in headers}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema([dg.TableColumn(name) for name in headers]))
