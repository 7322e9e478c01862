"""Short forms for declaring columns. Names are Klaviyo's; nested objects that every account has are flattened.

Required are the columns that the OpenAPI documents require in every living revision, and those that the pipeline sets.
"""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf
from klaviyo_pipeline.klaviyo.catalogue.columns import Allowed, Column, ColumnType
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_SMALL, FanOut, Option, Source

STRING, INTEGER, FLOAT = ColumnType.STRING, ColumnType.INTEGER, ColumnType.FLOAT
BOOLEAN, TIMESTAMP, JSON = ColumnType.BOOLEAN, ColumnType.TIMESTAMP, ColumnType.JSON


def id_(description: str) -> Column:
    return Column("id", STRING, ("id",), description)


def attribute(name: str, kind: ColumnType, description: str, option: str | None = None) -> Column:
    return Column(name, kind, ("attributes", name), description, option=option)


def at(name: str, kind: ColumnType, description: str, *path: str) -> Column:
    return Column(name, kind, path, description)


def nested(parent: str, name: str, kind: ColumnType, description: str, prefix: str | None = None) -> Column:
    return Column(f"{prefix or parent}_{name}", kind, ("attributes", parent, name), description)


def related(name: str, relationship: str, description: str, references: str) -> Column:
    return Column(name, STRING, ("relationships", relationship, "data", "id"), description, references=references)


def ids(name: str, relationship: str, description: str) -> Column:
    """The other end of a to-many relationship: a JSON array of objects with type and id."""
    return Column(name, JSON, ("relationships", relationship, "data"), description)


def pair(first: str, second: str) -> Column:
    """The id of a row that is named by two others: both ids, joined by a colon."""
    words = [f"the {each.removesuffix('_id').replace('_', ' ')}'s id" for each in (first, second)]
    description = f"{' and '.join(words)}, joined by a colon."
    return Column("id", STRING, None, description[0].upper() + description[1:], made_of=(first, second))


def counts_of(parent: Source, title: str, scopes: tuple[str, ...]) -> Source:
    """How many profiles are in each row of another data source, such as a list: a row for each read."""
    noun = parent.name.removesuffix("s")
    return Source(
        name=f"{noun}_counts",
        title=title,
        description=f"How many profiles are in each {noun}, at the time of each load: a history that grows with loads.",
        doc=f"{DOC}get_{noun}",
        path=f"{parent.path}/{{id}}",
        resource=parent.resource,
        scopes=scopes,
        columns=(
            *observation(key(Column(f"{noun}_id", STRING, None, f"The {noun}; joins {parent.name}.id."), parent.name)),
            attribute("profile_count", INTEGER, "How many profiles are in it."),
        ),
        impersonal=("id", f"{noun}_id", "observed_at", "profile_count"),
        tier=(("", EXTRA_SMALL),),
        fields=("profile_count",),
        added_fields=("profile_count",),
        limit_of=f"{parent.path}/{{id}}+profile_count",
        single=True,
        observed_at="observed_at",
        fan_out=FanOut(
            parent=parent.name,
            noun=noun,
            id_column=f"{noun}_id",
            setting=f"{noun}_ids",
            limits=f"Count these {parent.name} only.",
        ),
        incremental=False,
    )


def definition_of(parent: Source, updated: str, meaning: str, *, additional: bool = False) -> Source:
    """The definition of each row of another data source, which only the endpoint of one row has.

    Args:
        parent: The other data source.
        updated: Its column with the time of the last change.
        meaning: What the definition has.
        additional: Whether Klaviyo sends it only when asked for it (``additional-fields``).
    """
    noun = parent.name.removesuffix("s")
    return Source(
        name=f"{noun}_definitions",
        title=f"Definitions of {parent.name}",
        description=f"How each {noun} is made; one request each.",
        doc=f"{DOC}get_{noun}",
        path=f"{parent.path}/{{id}}",
        resource=parent.resource,
        scopes=parent.scopes,
        columns=(
            key(id_(f"The {noun}'s id; joins {parent.name}.id."), parent.name),
            attribute(updated, TIMESTAMP, f"When the {noun} last changed."),
            attribute("definition", JSON, meaning),
        ),
        impersonal=("id", updated),
        tier=parent.tier,
        fields=(updated, "definition"),
        added_fields=("definition",) if additional else (),
        single=True,
        fan_out=FanOut(
            parent=parent.name,
            noun=noun,
            id_column="id",
            setting=f"{noun}_ids",
            limits=f"Read these {parent.name} only.",
        ),
        version_column=updated,
        incremental=False,
        shows_deletions=True,
    )


def flow_triggers_of(parent: Source) -> Source:
    """Which flows the rows of another data source start, from the column ``flow_triggers`` of its rows."""
    noun = parent.name.removesuffix("s")
    return child_of(
        parent,
        ChildOf(
            parent=parent.name,
            id_column=f"{noun}_id",
            inside="flow_triggers",
            option="flow_triggers",
            ignores=("type",),
        ),
        name=f"{noun}_flow_triggers",
        title=f"Flows that {parent.name} start",
        description=f"Which {noun} starts which flow.",
        columns=(
            pair(f"{noun}_id", "flow_id"),
            key(Column(f"{noun}_id", STRING, None, f"The {noun}; joins {parent.name}.id."), parent.name),
            key(Column("flow_id", STRING, ("id",), "The flow; joins flows.id."), "flows"),
        ),
        impersonal=("id", f"{noun}_id", "flow_id"),
    )


def observation(of: Column) -> tuple[Column, ...]:
    """The first columns of a history, which has rows for each load: the key, the subject, and the time of the load."""
    words = of.name.removesuffix("_id").replace("_", " ")
    text = f"The {words}'s id and the time of the load, joined by a colon."
    return (
        Column("id", STRING, None, text, made_of=(of.name, "observed_at")),
        of,
        required(Column("observed_at", TIMESTAMP, None, "When the load began.")),
    )


def child_of(
    parent: Source,
    child: ChildOf,
    *,
    name: str,
    title: str,
    description: str,
    columns: tuple[Column, ...],
    impersonal: tuple[str, ...] = (),
    since: str = "",
) -> Source:
    """A data source whose rows stand in those of another one: read by its requests, over its windows.

    ``since`` is the first revision whose answers have them, if it is later than the other one's.
    """
    fixed = [ours for ours, theirs in child.carries if theirs == parent.fixed_time]
    return Source(
        name=name,
        title=title,
        description=description,
        doc=parent.doc,
        path=parent.path,
        resource=parent.resource,
        scopes=parent.scopes,
        columns=columns,
        impersonal=impersonal,
        since=since or parent.since,
        tier=parent.tier,
        page_size=parent.page_size,
        time_fields=parent.time_fields,
        choice=parent.choice,
        child=child,
        fixed_time=fixed[0] if fixed else None,
        partitioned_by_day=parent.partitioned_by_day,
        lookback_days=parent.lookback_days,
        incremental=parent.incremental,
        shows_deletions=parent.shows_deletions,
    )


def tags_of(parent: Source, title: str, option: str | None = None) -> Source:
    """Which tags the rows of another data source have, from the column ``tags`` of its rows."""
    noun = parent.name.removesuffix("s")
    return child_of(
        parent,
        ChildOf(parent=parent.name, id_column=f"{noun}_id", inside="tags", option=option, ignores=("type",)),
        name=f"{noun}_tags",
        title=title,
        description=f"Which {noun} has which tag.",
        columns=(
            pair(f"{noun}_id", "tag_id"),
            key(Column(f"{noun}_id", STRING, None, f"The {noun}; joins {parent.name}.id."), parent.name),
            key(Column("tag_id", STRING, ("id",), "The tag; joins tags.id."), "tags"),
        ),
        impersonal=("id", f"{noun}_id", "tag_id"),
    )


TAGS = Option("tags", False, "Read the tags of each row, for a table of them.")
"""For a data source of which ``tags_of`` makes another one: beside it an include and a staged column."""
STAGED_TAGS = Column("tags", JSON, ("relationships", "tags", "data"), "Its tags: type and id of each.", option="tags")


FLOW_TRIGGERS = Option("flow_triggers", False, "Read which flows each row starts, for a table of them.")
STAGED_FLOW_TRIGGERS = Column(
    "flow_triggers",
    JSON,
    ("relationships", "flow-triggers", "data"),
    "The flows that it starts: type and id of each.",
    option="flow_triggers",
)


def required(column: Column) -> Column:
    return replace(column, required=True)


def key(column: Column, references: str) -> Column:
    return replace(column, required=True, references=references)


def one_of(column: Column, *values: str, at: str | None = None) -> Column:
    return replace(column, allowed=(*column.allowed, Allowed(frozenset(values), at)))
