"""Custom objects: their types, schemas and records."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    key,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_SMALL, SMALL, FanOut, Include, Source

_SCOPES = ("custom-objects:read",)
_OF_TYPE = FanOut(
    parent="object_types",
    noun="object type",
    id_column="object_type_id",
    setting="object_type_ids",
    limits="Read these object types only.",
)
_TYPE_ID = key(Column("object_type_id", STRING, None, "The object type; joins object_types.id."), "object_types")

DATA_SOURCES = Source(
    name="data_sources",
    title="Data sources of custom objects",
    description="Where records of custom objects come from.",
    doc=DOC + "get_data_sources",
    path="/api/data-sources",
    resource="data-source",
    scopes=_SCOPES,
    since="2025-07-15",
    columns=(
        id_("The data source's id."),
        required(attribute("title", STRING, "The data source's name.")),
        required(attribute("visibility", STRING, "Who sees it: private or shared.")),
        required(attribute("description", STRING, "What it is for.")),
        attribute("namespace", STRING, "The namespace of its records."),
    ),
    impersonal=("id", "title", "visibility", "namespace"),
    tier=(("", SMALL),),
    page_size=(("", 100),),
    incremental=False,
    shows_deletions=True,
)

OBJECT_TYPES = Source(
    name="object_types",
    title="Object types",
    description="The types of custom objects.",
    doc=DOC + "get_object_types",
    path="/api/object-types",
    resource="object-type",
    scopes=_SCOPES,
    since="2026-07-15",
    columns=(
        id_("The object type's id."),
        required(attribute("title", STRING, "The object type's name.")),
        attribute("description", STRING, "What it is for."),
        required(attribute("status", STRING, "Whether records can be read.")),
        required(attribute("namespace", STRING, "The namespace.")),
        required(attribute("created_at", TIMESTAMP, "When it was created.")),
        required(attribute("updated_at", TIMESTAMP, "When it last changed.")),
        related("current_schema_id", "current-schema", "The one in force; joins object_schemas.id.", "object_schemas"),
        related("draft_schema_id", "draft-schema", "The schema to come; joins object_schemas.id.", "object_schemas"),
    ),
    impersonal=("id", "title", "status", "namespace", "created_at", "updated_at"),
    tier=(("", SMALL),),
    includes=(Include("current-schema"), Include("draft-schema")),  # without them the relationships have no data
    version_column="updated_at",
    incremental=False,
    shows_deletions=True,
)

OBJECT_SCHEMAS = Source(
    name="object_schemas",
    title="Object schemas",
    description="The versions of each object type's schema.",
    doc=DOC + "get_schema_versions_for_object_type",
    path="/api/object-types/{id}/schema-versions",
    resource="object-schema",
    scopes=_SCOPES,
    since="2026-07-15",
    columns=(
        id_("The schema's id."),
        _TYPE_ID,
        required(attribute("title", STRING, "The schema's name.")),
        attribute("description", STRING, "What it is for."),
        required(attribute("status", STRING, "draft, published and others.")),
        attribute("properties", JSON, "The properties that records have."),
        attribute("required", JSON, "Which of them every record has."),
        attribute("published_at", TIMESTAMP, "When it came into force."),
        required(attribute("visibility", STRING, "Who sees it.")),
    ),
    impersonal=("id", "object_type_id", "title", "status", "published_at", "visibility"),
    tier=(("", SMALL),),
    fan_out=_OF_TYPE,
    incremental=False,
    shows_deletions=True,
)

SOURCE_MAPPINGS = Source(
    name="source_mappings",
    title="Source mappings",
    description="How each schema's properties are filled from its data source.",
    doc=DOC + "get_source_mapping_for_object_schema",
    path="/api/object-schemas/{id}/source-mapping",
    resource="source-mapping",
    scopes=_SCOPES,
    since="2026-07-15",
    columns=(
        id_("The mapping's id."),
        key(Column("object_schema_id", STRING, None, "The schema; joins object_schemas.id."), "object_schemas"),
        required(attribute("property_mappings", JSON, "What each property is filled from.")),
        required(attribute("relationship_mappings", JSON, "What each relationship is filled from.")),
    ),
    impersonal=("id", "object_schema_id"),
    tier=(("", SMALL),),
    single=True,
    fan_out=FanOut(
        parent="object_schemas",
        noun="object schema",
        id_column="object_schema_id",
        setting="object_schema_ids",
        limits="Read the mappings of these schemas only.",
    ),
    incremental=False,
    shows_deletions=True,
)

OBJECT_RECORDS = Source(
    name="object_records",
    title="Object records",
    description="The records of each object type. Klaviyo gives 6,000 a minute and no filter.",
    doc=DOC + "get_records_for_object_type",
    path="/api/object-types/{id}/object-records",
    resource="object-record",
    scopes=_SCOPES,
    since="2026-07-15",
    columns=(
        id_("The record's id: the object type's, three colons, and its own."),
        _TYPE_ID,
        required(attribute("record_properties", JSON, "The record's properties, as its schema has them.")),
    ),
    impersonal=("object_type_id",),
    tier=(("", SMALL),),
    page_size=(("", 100),),
    fan_out=_OF_TYPE,
    incremental=False,
    shows_deletions=True,
)

OBJECT_INGESTION_LOGS = Source(
    name="object_ingestion_logs",
    title="Object ingestion logs",
    description="Records that Klaviyo refused in the last fourteen days, and why.",
    doc=DOC + "get_ingestion_logs_for_object_type",
    path="/api/object-types/{id}/object-ingestion-logs",
    resource="object-ingestion-log",
    scopes=_SCOPES,
    since="2026-07-15",
    columns=(
        id_("The log line's id."),
        _TYPE_ID,
        related("object_record_id", "object-record", "The record; joins object_records.id.", "object_records"),
        required(attribute("status", STRING, "How it ended.")),
        required(attribute("event_type", STRING, "What was to be done.")),
        required(attribute("timestamp", TIMESTAMP, "When it happened.")),
        attribute("summary", STRING, "The failure in a sentence."),
        attribute("errors", JSON, "The failure in parts."),
    ),
    impersonal=("id", "object_type_id", "status", "event_type", "timestamp"),
    tier=(("", EXTRA_SMALL),),
    fan_out=_OF_TYPE,
    incremental=False,
)
