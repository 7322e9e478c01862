"""Metrics: the kinds of events in the account."""

from __future__ import annotations

from dataclasses import replace

from klaviyo_pipeline.klaviyo.catalogue.declaring import STRING, TIMESTAMP, attribute, id_, nested
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, Source

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
    version_column="updated",
    incremental=False,
    shows_deletions=True,
)
