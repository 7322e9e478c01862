"""Child tables of a load: data sources whose rows stand in the rows of another one, and land with them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from klaviyo_pipeline.klaviyo.catalogue.registry import parent_of
from klaviyo_pipeline.loads.request import LoadRequest
from klaviyo_pipeline.loads.table import table_of
from klaviyo_pipeline.warehouse.land_request import ChildRows
from klaviyo_pipeline.warehouse.write_modes import WriteMode

if TYPE_CHECKING:
    from klaviyo_pipeline.klaviyo.catalogue.model import Source
    from klaviyo_pipeline.klaviyo.extract.model import StagedExtract
    from klaviyo_pipeline.loads.destination import Place
    from klaviyo_pipeline.warehouse.ownership import Owner
    from klaviyo_pipeline.warehouse.shrinking import ShrinkLimits


def read_for(
    wanted: LoadRequest, children: tuple[Source, ...], revision: str
) -> tuple[Source, frozenset[str], tuple[Source, ...]]:
    """What is read for a load: the data source, its options, and the children among its rows.

    A child that is loaded by itself is read as its parent is. Children whose option is off are left out, and those that
    answers of this revision lack: their tables stay as they are.
    """
    source, options = wanted.source, wanted.options
    if source.child is not None:
        children, source = (source,), parent_of(source)
        options = source.choose() | {each.child.option for each in children if each.child and each.child.option}
    read = tuple(
        each
        for each in children
        if each.child and each.since <= revision and (not each.child.option or each.child.option in options)
    )
    return source, options, read


def time_column(child: Source) -> str | None:
    """The child's column that has the time of its parent's windows; None without one."""
    if child.child is None or not child.time_fields:
        return None
    name = child.time_fields[0].name
    return next((ours for ours, theirs in child.child.carries if theirs == name), None)


def child_rows(
    child: Source,
    place: Place,
    staged: StagedExtract,
    owner: Owner,
    *,
    name: str = "",
    mode: WriteMode = WriteMode.MERGE,
    shrink: ShrinkLimits | None = None,
) -> ChildRows:
    """The rows of a child in a staged extract, for a landing.

    Args:
        child: The child.
        place: Where they go.
        staged: The extract of its parent.
        owner: Whose rows they are.
        name: Their name in the ledger; blank for the data source's.
        mode: What happens to rows that are there.
        shrink: How much of the table they may take away without consent.
    """
    from klaviyo_pipeline.klaviyo.decode.children import ChildDecoder

    assert child.child is not None
    decoder = ChildDecoder(child, staged.revision)
    return ChildRows(
        table=table_of(child, place.schema, place.table),
        source=name or child.name,
        columns=child.child.parent_columns,
        parent_column=child.child.id_column,
        schema=decoder.schema,
        rows_of=decoder.rows,
        mode=mode,
        partition_key=time_column(child),
        owner=replace(owner, data_source=child.name),
        shrink=shrink,
    )
