"""The columns that tell nothing about a person, by data source. What is not named here is treated as personal.

Shown outside the tables (previews, examples in checks) are these only, so a new column is hidden until somebody
decides about it. Hidden are also profile ids, which name a person as long as the account has that person, free text
that people write (subjects, descriptions, HTML), and JSON columns but for how a campaign is sent: nobody knows what
senders put in.
"""

from __future__ import annotations

_METRIC = (
    *("name", "created", "updated"),
    *("integration_object", "integration_id", "integration_key", "integration_name", "integration_category"),
)
_PROFILE = ("created", "updated", "last_event_date")
_OF_EVENT = ("id", "event_id", "event_datetime")

IMPERSONAL: dict[str, frozenset[str]] = {
    source: frozenset(columns)
    for source, columns in {
        "metrics": ("id", *_METRIC),
        "events": (
            *("id", "metric_id", "datetime", "timestamp", "uuid"),
            *("attributed_event_id", "campaign_id", "campaign_message_id"),
            *("flow_id", "flow_message_id", "flow_message_variation_id"),
            *("metric_name", "metric_integration_name", "metric_integration_category"),
        ),
        "event_metrics": (*_OF_EVENT, "metric_id", *_METRIC),
        "event_profiles": (*_OF_EVENT, *_PROFILE),
        "templates": ("id", "name", "editor_type", "created", "updated"),
        "campaigns": (
            *("id", "name", "status", "archived", "channel", "builder", "color", "message_id", "template_id"),
            *("send_strategy", "send_options"),
            *("created_at", "scheduled_at", "updated_at", "send_time"),
        ),
        "lists": ("id", "name", "created", "updated", "opt_in_process"),
        "list_profiles": ("list_id", "joined_group_at", *_PROFILE),
        "profiles": _PROFILE,
    }.items()
}
