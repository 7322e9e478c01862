"""Flows."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.child_rows import ChildOf, Place
from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    BOOLEAN,
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    child_of,
    definition_of,
    id_,
    ids,
    key,
    tags_of,
)
from klaviyo_pipeline.klaviyo.catalogue.filters import EQUALS, condition
from klaviyo_pipeline.klaviyo.catalogue.model import (
    DOC,
    GE_GT_LE_LT,
    SMALL,
    FilterBy,
    Include,
    Option,
    Source,
    TimeField,
)

FLOWS = Source(
    name="flows",
    title="Flows",
    description="The account's flows, archived ones too, with their tags.",
    doc=DOC + "get_flows",
    path="/api/flows",
    resource="flow",
    scopes=("flows:read",),
    columns=(
        id_("The flow's id."),
        attribute("name", STRING, "The flow's name."),
        attribute("status", STRING, "draft, manual or live."),
        attribute("archived", BOOLEAN, "Whether it is archived."),
        attribute("created", TIMESTAMP, "When the flow was created."),
        attribute("updated", TIMESTAMP, "When the flow last changed."),
        attribute("trigger_type", STRING, "What starts it: Added to List, Date Based, Metric and others."),
        ids("tags", "tags", "Its tags: type and id of each."),
    ),
    impersonal=("id", "name", "status", "archived", "created", "updated", "trigger_type"),
    tier=(("", SMALL),),
    page_size=(("", 50),),
    time_fields=(
        TimeField("updated", FilterBy.UPDATED, GE_GT_LE_LT),
        TimeField("created", FilterBy.CREATED, GE_GT_LE_LT),
    ),
    streams=(("", tuple((condition(EQUALS, "archived", archived),) for archived in (False, True))),),
    includes=(
        Include("tags"),  # without it the relationship has no data
        Include("flow-actions", option="actions"),
    ),
    options=(Option("actions", False, "Read the actions of each flow, for flow_actions and flow_messages."),),
    staged=(Column("actions", JSON, (), "All actions of the flow.", via="flow-actions", every=True, option="actions"),),
    lookback_days=1,
    version_column="updated",
    shows_deletions=True,
)

FLOW_DEFINITIONS = definition_of(FLOWS, "updated", "Triggers, filters and actions of each flow.", additional=True)

FLOW_TAGS = tags_of(FLOWS, "Tags of flows")

FLOW_ACTIONS = child_of(
    FLOWS,
    ChildOf(parent="flows", id_column="flow_id", inside="actions", option="actions", ignores=("relationships",)),
    name="flow_actions",
    title="Flow actions",
    description="The actions of each flow: delays, conditions, messages and others.",
    columns=(
        id_("The action's id."),
        key(Column("flow_id", STRING, None, "The flow; joins flows.id."), "flows"),
        Column(
            "action_type",
            STRING,
            ("action_type",),
            "send-email, send-sms, time-delay and others; SEND_EMAIL and so on before revision 2025-10-15.",
            moved=(("2025-10-15", ("definition", "type")),),
        ),
        Column("created", TIMESTAMP, ("created",), "When the action was created."),
        Column("updated", TIMESTAMP, ("updated",), "When the action last changed."),
        Column("definition", JSON, ("definition",), "What it does."),
    ),
    impersonal=("id", "flow_id", "action_type", "created", "updated"),
)

FLOW_MESSAGES = child_of(
    FLOWS,
    ChildOf(
        parent="flows",
        id_column="flow_id",
        inside="actions",
        places=(Place(("definition", "data", "message")),),
        option="actions",
    ),
    name="flow_messages",
    title="Flow messages",
    description="What each flow's actions send.",
    since="2025-10-15",
    columns=(
        id_("The message's id."),
        key(Column("flow_id", STRING, None, "The flow; joins flows.id."), "flows"),
        key(Column("flow_action_id", STRING, ("^", "id"), "The action; joins flow_actions.id."), "flow_actions"),
        Column("action_type", STRING, ("^", "definition", "type"), "send-email, send-sms and others."),
        Column("name", STRING, ("name",), "The message's name."),
        Column("subject_line", STRING, ("subject_line",), "The subject of an email."),
        Column("preview_text", STRING, ("preview_text",), "The preview text of an email."),
        Column("from_email", STRING, ("from_email",), "The sender's address."),
        Column("from_label", STRING, ("from_label",), "The sender's name."),
        Column("template_id", STRING, ("template_id",), "The template; joins templates.id.", references="templates"),
        Column("definition", JSON, (), "The message, whole."),
    ),
    impersonal=("id", "flow_id", "flow_action_id", "action_type", "name", "template_id"),
)
