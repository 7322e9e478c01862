"""The collections of the row type Record: their paths and relationships."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Ids = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Record:
    """A row of any of these collections.

    Attributes:
        attributes: by Klaviyo's names, those of all revisions; times are microseconds since the epoch.
        related: the ids at the other end of each relationship that this row keeps itself.
    """

    id: str
    attributes: Mapping[str, Any]
    related: Mapping[str, Ids] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Relation:
    """A relationship: the type at its other end, and who keeps it.

    Attributes:
        many: to many rows, or to one.
        always: the ids stand in every answer, not only where included.
        inverse: the relationship of the other type that keeps it; empty where the row itself does.
        hidden: only the endpoints know of it, the resource does not show it.
    """

    type: str
    many: bool = False
    always: bool = False
    inverse: str = ""
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A collection of records.

    Attributes:
        unless_asked: values of attributes that rows must have unless the request filters by them.
        ignored: filters that are accepted and do nothing (recorded).
        required: filters of which a request for the whole collection needs one.
        in_micros: times are written with microseconds, as Klaviyo does in jobs.
        past_only: bounds must not be in the future and the sort must be by the filtered field (recorded).
    """

    type: str
    path: str
    relations: Mapping[str, Relation] = field(default_factory=dict)
    missing: str = "A {type} with id {id} does not exist."
    unless_asked: Mapping[str, Any] = field(default_factory=dict)
    ignored: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    in_micros: bool = False
    past_only: bool = False


_AT = tuple(f"{name}_at" for name in ("created", "updated", "completed", "expires", "started", "published"))
TIMES = frozenset(["created", "updated", "timestamp", *_AT])
"""The attributes that are times."""

NUMBERS = TIMES | {"rating", "size"}
"""The attributes that are sorted as numbers."""

_TAGS = Relation("tag", many=True)


def _jobs(kind: str, relation: str, related: str) -> list[Kind]:
    return [
        Kind(
            f"{kind}-bulk-{verb}-job",
            f"{kind}-bulk-{verb}-jobs",
            {relation: Relation(related, many=True)},
            in_micros=True,
        )
        for verb in ("create", "update", "delete")
    ]


KINDS = (
    Kind(
        "tag",
        "tags",
        {
            "tag-group": Relation("tag-group"),
            "lists": Relation("list", many=True, inverse="tags"),
            "segments": Relation("segment", many=True, inverse="tags"),
            "campaigns": Relation("campaign", many=True, inverse="tags"),
            "flows": Relation("flow", many=True, inverse="tags"),
        },
    ),
    Kind("tag-group", "tag-groups", {"tags": Relation("tag", many=True, inverse="tag-group")}),
    Kind(
        "segment",
        "segments",
        {
            "profiles": Relation("profile", many=True),
            "tags": _TAGS,
            "flow-triggers": Relation("flow", many=True, inverse="trigger-segments"),
        },
        missing="A segment with id `{id}` does not exist.",
        ignored=frozenset(["is_starred"]),
    ),
    Kind(
        "flow",
        "flows",
        {
            "flow-actions": Relation("flow-action", many=True, inverse="flow"),
            "tags": _TAGS,
            "trigger-lists": Relation("list", many=True, hidden=True),
            "trigger-metrics": Relation("metric", many=True, hidden=True),
            "trigger-segments": Relation("segment", many=True, hidden=True),
        },
        unless_asked={"archived": False},
        past_only=True,
    ),
    Kind(
        "flow-action",
        "flow-actions",
        {
            "flow": Relation("flow"),
            "flow-messages": Relation("flow-message", many=True, inverse="flow-action"),
        },
        past_only=True,
    ),
    Kind(
        "flow-message",
        "flow-messages",
        {"flow-action": Relation("flow-action", always=True), "template": Relation("template", always=True)},
        past_only=True,
    ),
    Kind("form", "forms", {"form-versions": Relation("form-version", many=True, inverse="form")}),
    Kind("form-version", "form-versions", {"form": Relation("form")}),
    Kind("custom-metric", "custom-metrics", {"metrics": Relation("metric", many=True)}),
    Kind(
        "mapped-metric",
        "mapped-metrics",
        {"metric": Relation("metric"), "custom-metric": Relation("custom-metric")},
    ),
    Kind("metric-property", "metric-properties", {"metric": Relation("metric")}),
    Kind("tracking-setting", "tracking-settings"),
    Kind("image", "images", unless_asked={"hidden": False}),
    Kind("template-universal-content", "template-universal-content"),
    Kind("coupon", "coupons", {"coupon-codes": Relation("coupon-code", many=True, inverse="coupon", hidden=True)}),
    Kind(
        "coupon-code",
        "coupon-codes",
        {"coupon": Relation("coupon"), "profile": Relation("profile")},
        required=frozenset(["coupon.id", "profile.id"]),
    ),
    Kind(
        "coupon-code-bulk-create-job",
        "coupon-code-bulk-create-jobs",
        {"coupon-codes": Relation("coupon-code", many=True)},
        in_micros=True,
    ),
    Kind(
        "catalog-item",
        "catalog-items",
        {
            "variants": Relation("catalog-variant", many=True, inverse="item"),
            "categories": Relation("catalog-category", many=True, inverse="items", hidden=True),
        },
    ),
    Kind("catalog-variant", "catalog-variants", {"item": Relation("catalog-item")}),
    Kind("catalog-category", "catalog-categories", {"items": Relation("catalog-item", many=True)}),
    *_jobs("catalog-item", "items", "catalog-item"),
    *_jobs("catalog-variant", "variants", "catalog-variant"),
    *_jobs("catalog-category", "categories", "catalog-category"),
    Kind("review", "reviews", {"events": Relation("event", many=True), "item": Relation("catalog-item")}),
    Kind("push-token", "push-tokens", {"profile": Relation("profile")}),
    Kind("conversation", "conversations", {"profile": Relation("profile")}),
    Kind(
        "profile-bulk-import-job",
        "profile-bulk-import-jobs",
        {
            "lists": Relation("list", many=True),
            "profiles": Relation("profile", many=True),
            "import-errors": Relation("import-error", many=True),
        },
        in_micros=True,
    ),
    Kind("import-error", "import-errors"),
    *(
        Kind(
            f"profile-suppression-bulk-{verb}-job",
            f"profile-suppression-bulk-{verb}-jobs",
            {"lists": Relation("list", many=True), "segments": Relation("segment", many=True)},
            in_micros=True,
        )
        for verb in ("create", "delete")
    ),
    Kind("web-feed", "web-feeds"),
    Kind("webhook", "webhooks", {"webhook-topics": Relation("webhook-topic", many=True)}),
    Kind("webhook-topic", "webhook-topics"),
    Kind("billing-usage", "billing-usage"),
    Kind("brand-button", "brand-buttons"),
    Kind("brand-color", "brand-colors"),
    Kind("brand-logo", "brand-logos", {"image": Relation("image")}),
    Kind("brand-social-group", "brand-social-groups"),
    Kind(
        "brand-email-default",
        "brand-email-defaults",
        {name: Relation(name) for name in ("brand-button", "brand-logo", "brand-social-group")},
    ),
    Kind(
        "translation",
        "translations",
        {
            "campaign-variation": Relation("campaign-variation"),
            "flow-message": Relation("flow-message"),
            "template": Relation("template"),
            "template-universal-content": Relation("template-universal-content"),
        },
    ),
    Kind(
        "text-messaging-sender",
        "text-messaging-senders",
        {"text-messaging-sender-registration": Relation("text-messaging-sender-registration")},
    ),
    Kind(
        "text-messaging-sender-registration",
        "text-messaging-sender-registrations",
        {"text-messaging-sender": Relation("text-messaging-sender", inverse="text-messaging-sender-registration")},
    ),
    Kind("campaign-recipient-estimation", "campaign-recipient-estimations"),
    Kind("data-source", "data-sources"),
    Kind(
        "object-type",
        "object-types",
        {
            "current-schema": Relation("object-schema"),
            "draft-schema": Relation("object-schema"),
            "schema-versions": Relation("object-schema", many=True, inverse="object-type"),
            "object-types": Relation("object-type", many=True),
            "profile-object-types": Relation("profile-object-type", many=True),
            "object-records": Relation("object-record", many=True, inverse="object-type", hidden=True),
            "object-ingestion-logs": Relation("object-ingestion-log", many=True, inverse="object-type", hidden=True),
        },
    ),
    Kind(
        "object-schema",
        "object-schemas",
        {
            "source-mapping": Relation("source-mapping"),
            "object-schemas": Relation("object-schema", many=True),
            "profile-object-schemas": Relation("profile-object-schema", many=True),
            "object-type": Relation("object-type", hidden=True),
        },
    ),
    Kind("profile-object-type", "profile-object-types"),
    Kind("profile-object-schema", "profile-object-schemas"),
    Kind("source-mapping", "source-mappings"),
    Kind("object-record", "object-records", {"object-type": Relation("object-type", hidden=True)}),
    Kind(
        "object-ingestion-log",
        "object-ingestion-logs",
        {"object-type": Relation("object-type", always=True), "object-record": Relation("object-record", always=True)},
    ),
)  # fmt: skip

BY_TYPE = {kind.type: kind for kind in KINDS}
BY_PATH = {kind.path: kind for kind in KINDS}
