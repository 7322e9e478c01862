"""Metrics: the kinds of events in the account."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    FLOW_TRIGGERS,
    JSON,
    STAGED_FLOW_TRIGGERS,
    STRING,
    TIMESTAMP,
    attribute,
    flow_triggers_of,
    id_,
    key,
    nested,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_SMALL, MEDIUM, SMALL, FanOut, Include, Option, Source

METRIC_ATTRIBUTES = (
    attribute("name", STRING, "The metric's name. Klaviyo renames metrics now and then: join on ids."),
    attribute("created", TIMESTAMP, "When the metric was created."),
    attribute("updated", TIMESTAMP, "When the metric was last changed; new events do not count."),
    nested("integration", "object", STRING, "Type of the integration object."),
    nested("integration", "id", STRING, "The integration's id."),
    nested("integration", "key", STRING, "The integration's key."),
    nested("integration", "name", STRING, "Where the events come from, for example Shopify, Klaviyo or API."),
    replace(
        nested("integration", "category", STRING, "The integration's category."),
        named=True,  # text, or an object with a name
    ),
)
METRIC_COLUMNS = (id_("The metric's id."), *METRIC_ATTRIBUTES)

IMPERSONAL_METRIC = (
    *("name", "created", "updated"),
    *("integration_object", "integration_id", "integration_key", "integration_name", "integration_category"),
)

METRICS = Source(
    name="metrics",
    title="Metrics",
    description="The kinds of events in the account, with the integration each comes from.",
    doc=DOC + "get_metrics",
    path="/api/metrics",
    resource="metric",
    scopes=("metrics:read",),
    columns=METRIC_COLUMNS,
    impersonal=("id", *IMPERSONAL_METRIC),
    tier=(("", MEDIUM),),
    includes=(Include("flow-triggers", option="flow_triggers"),),
    options=(FLOW_TRIGGERS,),
    staged=(STAGED_FLOW_TRIGGERS,),
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)

METRIC_FLOW_TRIGGERS = flow_triggers_of(METRICS)

CUSTOM_METRICS = Source(
    name="custom_metrics",
    title="Custom metrics",
    description="Metrics that the account has made of others.",
    doc=DOC + "get_custom_metrics",
    path="/api/custom-metrics",
    resource="custom-metric",
    scopes=("metrics:read",),
    since="2025-04-15",
    columns=(
        id_("The custom metric's id."),
        required(attribute("name", STRING, "The custom metric's name.")),
        required(attribute("created", TIMESTAMP, "When it was created.")),
        required(attribute("updated", TIMESTAMP, "When it last changed.")),
        required(attribute("definition", JSON, "How it counts, and which metrics it is made of.")),
    ),
    impersonal=("id", "name", "created", "updated"),
    tier=(("", SMALL),),
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)

MAPPED_METRICS = Source(
    name="mapped_metrics",
    title="Mapped metrics",
    description="Which metric plays which role in the account, such as revenue: one row a role.",
    doc=DOC + "get_mapped_metrics",
    path="/api/mapped-metrics",
    resource="mapped-metric",
    scopes=("metrics:read",),
    since="2025-07-15",
    columns=(
        id_(
            "The role: revenue, ordered_product, refunded_sales, cancelled_sales, started_checkout, added_to_cart or "
            "viewed_product."
        ),
        attribute("updated", TIMESTAMP, "When the metric was last chosen."),
        related("metric_id", "metric", "The metric in this role; joins metrics.id.", "metrics"),
        related(
            "custom_metric_id",
            "custom-metric",
            "The custom metric in this role; joins custom_metrics.id.",
            "custom_metrics",
        ),
    ),
    impersonal=("id", "updated", "metric_id", "custom_metric_id"),
    tier=(("", SMALL),),
    includes=(Include("metric"), Include("custom-metric")),  # without them the relationships have no data
    incremental=False,
    shows_deletions=True,
)

METRIC_PROPERTIES = Source(
    name="metric_properties",
    title="Metric properties",
    description="The properties that events of each metric have. Klaviyo allows fifteen metrics a minute.",
    doc=DOC + "get_properties_for_metric",
    path="/api/metrics/{id}/metric-properties",
    resource="metric-property",
    scopes=("metrics:read",),
    columns=(
        id_("The property's id."),
        key(Column("metric_id", STRING, None, "The metric; joins metrics.id."), "metrics"),
        required(attribute("label", STRING, "The property's name for people.")),
        required(attribute("property", STRING, "The property's name in event_properties.")),
        required(attribute("inferred_type", STRING, "The type that Klaviyo sees in its values.")),
        attribute("sample_values", JSON, "Some of its values; they may name people.", option="sample_values"),
    ),
    impersonal=("id", "metric_id", "label", "property", "inferred_type"),
    tier=(("", EXTRA_SMALL),),
    options=(Option("sample_values", False, "Read some values of each property.", added_fields=("sample_values",)),),
    fan_out=FanOut(
        parent="metrics",
        noun="metric",
        id_column="metric_id",
        setting="metric_ids",
        limits="Read the properties of these metrics only.",
    ),
    incremental=False,
    shows_deletions=True,
)
