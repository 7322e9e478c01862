"""Rows to JSON:API resources, as bytes, in the shape of one revision.

Events and profiles are the numerous ones: their attributes are kept as JSON and pasted between the links.
Source of the shapes: OpenAPI 2025-01-15 and 2026-07-15, answers recorded on 2026-07-15, SDK 25.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from klaviyo_pipeline.sandbox.api import campaign_shapes
from klaviyo_pipeline.sandbox.api.consent import predictive_analytics, subscriptions
from klaviyo_pipeline.sandbox.api.fieldsets import documented_fields, only_at, project
from klaviyo_pipeline.sandbox.data.kinds import TIMES, Ids, Kind, Record, Relation
from klaviyo_pipeline.sandbox.data.rows import (
    Attribution,
    Campaign,
    Event,
    MailingList,
    Message,
    Metric,
    Profile,
    Template,
)
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.times import in_micros, in_seconds

Attributes = dict[str, Any]
Related = Mapping[str, Any]
"""A relationship's data: an identifier, a list of them, None; or `LINKS_ONLY`."""

LINKS_ONLY = object()

_ID = b"@id@"

_RAW = msgspec.json.Decoder(dict[str, msgspec.Raw])


def identifier(resource: str, resource_id: str) -> dict[str, str]:
    """A resource identifier object."""
    return {"type": resource, "id": resource_id}


@dataclass(frozen=True, slots=True)
class View:
    """What a request wants to see."""

    base: str
    revision: str
    fields: Mapping[str, tuple[str, ...]]
    includes: frozenset[str] = frozenset()
    additional: frozenset[str] = frozenset()


class Shapes:
    """Writes resources for one view of the store."""

    def __init__(self, store: Store, view: View) -> None:
        self._store = store
        self.view = self._view = view
        self._base = view.base.encode()
        self._event_template = _event_template(self._base)
        self._rebuilt = view.revision >= "2026-10-15"

    def account(self) -> bytes:
        """The one account."""
        return self.resource("account", self._store.account["id"], self._store.account["attributes"])

    def metric(self, metric: Metric, *, primary: bool = True) -> bytes:
        """A metric."""
        flows = self._triggered("trigger-metrics", metric.id, primary)
        return self.resource(
            "metric",
            metric.id,
            {
                "name": metric.name,
                "created": in_seconds(metric.created),
                "updated": in_seconds(metric.updated),
                "integration": metric.integration,
            },
            {"flow-triggers": self._if_included("flow-triggers", flows, primary)},
        )

    def events(self, events: list[Event]) -> list[bytes]:
        """Events; a profile or metric that is gone is null."""
        metrics, profiles = self._store.metrics.rows, self._store.profiles.rows
        names = self._view.fields.get("event")
        with_attributions = "attributions" in self._view.includes
        template = self._event_template
        written = []
        for event in events:
            event_id = event.id.encode()
            metric = event.metric_id
            profile = event.profile_id
            written.append(
                template
                % (
                    event_id,
                    event.document if names is None else _sparse(event.document, names),
                    self._end("profile", profile, known=profile in profiles),
                    event_id,
                    event_id,
                    self._end("metric", metric, known=metric in metrics),
                    event_id,
                    event_id,
                    self._attributions(event) if with_attributions else b"",
                    event_id,
                )
            )
        return written

    def _end(self, resource: str, row_id: str | None, *, known: bool) -> bytes:
        """The `data` of a relationship: null where there is none, which revisions before 2026-07-15 do not have."""
        if row_id is None or not known:
            return b'"data":null,' if self.view.revision >= "2026-07-15" else b""
        return b'"data":{"type":"%b","id":"%b"},' % (resource.encode(), row_id.encode())

    def _attributions(self, event: Event) -> bytes:
        data = [identifier("attribution", each.id) for each in event.attributions]
        written = msgspec.json.encode(self._relationships("event", event.id, {"attributions": data}))
        return b"," + written[1:-1]

    def attribution(self, event: Event, found: Attribution) -> bytes:
        """One of what an event is owed to."""
        targets = {
            "campaign": found.campaign_id,
            "campaign-message": found.campaign_message_id,
            "flow": found.flow_id,
            "flow-message": found.flow_message_id,
        }
        related: Attributes = {
            "event": identifier("event", event.id),
            "attributed-event": identifier("event", found.attributed_event_id),
        }
        related |= {name: identifier(name, target) for name, target in targets.items() if target}
        return msgspec.json.encode(
            {
                "type": "attribution",
                "id": found.id,
                "relationships": self._relationships("attribution", found.id, related),
                "links": {"self": f"{self._view.base}/api/attributions/{found.id}/"},
            }
        )

    def profile(self, profile: Profile, *, primary: bool = True, joined_at: int | None = None) -> bytes:
        """A profile; not `primary` where it is a list's member, an event's, or included."""
        view = self._view
        document: bytes = profile.document
        more: Attributes = {}
        if joined_at is not None:
            more["joined_group_at"] = in_seconds(joined_at)
        if "subscriptions" in view.additional:
            more["subscriptions"] = subscriptions(profile, view.revision)
        if "predictive_analytics" in view.additional:
            more["predictive_analytics"] = predictive_analytics(profile, view.revision)
        names = view.fields.get("profile")
        if names is not None:
            attributes = {**msgspec.json.decode(document), **more}
            document = msgspec.json.encode(project(attributes, names))
        elif more:
            document = document[:-1] + b"," + msgspec.json.encode(more)[1:]
        names_related = _profile_relationships(view.revision, primary)
        if primary and view.includes:
            related: Attributes = dict.fromkeys(names_related, LINKS_ONLY)
            for name in view.includes:
                related[name] = self._of_profile(profile.id, name)
            return self.resource("profile", profile.id, msgspec.Raw(document), related)
        profile_id = profile.id.encode()
        links = _links(view.base, "profile", names_related).replace(_ID, profile_id)
        return b'{"type":"profile","id":"%b","attributes":%b,%b' % (profile_id, document, links)

    def _of_profile(self, profile_id: str, name: str) -> object:
        """The identifiers of what a profile is related to."""
        if name in ("lists", "segments"):
            return [identifier(name[:-1], found) for found in self._store.groups_of(profile_id, name)]
        resource = "push-token" if name == "push-tokens" else "conversation"
        if not self._store.has_records(resource):
            return None if name == "conversation" else []
        found = [
            identifier(resource, row.id)
            for row in self._store.records(resource)
            if profile_id in row.related.get("profile", ())
        ]
        return next(iter(found), None) if name == "conversation" else found

    def mailing_list(self, row: MailingList, *, primary: bool = True) -> bytes:
        """A list."""
        attributes: Attributes = {
            "name": row.name,
            "created": in_seconds(row.created),
            "updated": in_seconds(row.updated),
            "opt_in_process": row.opt_in_process,
        }
        if primary and "profile_count" in self._view.additional:
            attributes["profile_count"] = len(self._store.members[row.id])
        flows = self._triggered("trigger-lists", row.id, primary)
        tags = [identifier("tag", tag) for tag in row.tag_ids]
        return self.resource(
            "list",
            row.id,
            attributes,
            {
                "profiles": LINKS_ONLY,
                "tags": self._if_included("tags", tags, primary),
                "flow-triggers": self._if_included("flow-triggers", flows, primary),
            },
        )

    def template(self, row: Template) -> bytes:
        """A template."""
        attributes: Attributes = {
            "name": row.name,
            "editor_type": row.editor_type,
            "html": row.html,
            "text": row.text,
            "amp": row.amp,
            "created": in_seconds(row.created),
            "updated": in_seconds(row.updated),
        }
        if self._rebuilt:
            attributes["screenshot_url"] = None
        if "definition" in self._view.additional and row.editor_type != "CODE":
            attributes["definition"] = {
                "id": row.id,
                "template_id": row.id,
                "body": {
                    "id": f"{row.id}-body",
                    "properties": {"id": None, "css_class": None},
                    "styles": {"background_color": "#f7f7f7", "width": 600},
                    "sections": [],
                },
                "styles": [],
            }
        return self.resource("template", row.id, attributes)

    def campaign(self, row: Campaign, *, primary: bool = True) -> bytes:
        """A campaign, in the shape of the revision."""
        messages = [identifier("campaign-message", message.id) for message in row.messages]
        tags = [identifier("tag", tag) for tag in row.tag_ids]
        related: Attributes = {}
        if self._rebuilt:
            audiences = [identifier("campaign-audience", message.audience_id) for message in row.messages]
            related["campaign-audiences"] = self._if_included("campaign-audiences", audiences, primary)
        related["campaign-messages"] = messages
        related["tags"] = self._if_included("tags", tags, primary)
        attributes = campaign_shapes.campaign_attributes(row, self._view.revision)
        return self.resource("campaign", row.id, attributes, related)

    def message(self, campaign: Campaign, row: Message) -> bytes:
        """A campaign's message, in the shape of the revision."""
        related: Attributes = {"campaign": identifier("campaign", campaign.id)}
        if self._rebuilt:
            related["campaign-audience"] = identifier("campaign-audience", row.audience_id)
            related["campaign-variations"] = [identifier("campaign-variation", row.variation_id)]
        else:
            template = identifier("template", row.template_id) if row.template_id else None
            related |= {"template": template, "image": None}
        attributes = campaign_shapes.message_attributes(campaign, row, self._view.revision)
        return self.resource("campaign-message", row.id, attributes, related)

    def audience(self, campaign: Campaign, row: Message) -> bytes:
        """The audience of a message."""
        return self.resource(
            "campaign-audience",
            row.audience_id,
            campaign_shapes.audience_attributes(campaign, row),
            {
                "campaign": identifier("campaign", campaign.id),
                "campaign-messages": [identifier("campaign-message", row.id)],
            },
        )

    def variation(self, campaign: Campaign, row: Message) -> bytes:
        """The variation of a message."""
        return self.resource(
            "campaign-variation",
            row.variation_id,
            campaign_shapes.variation_attributes(campaign, row),
            {
                "campaign-message": identifier("campaign-message", row.id),
                "translation": None,
                "image": None,
            },
        )

    def _triggered(self, relation: str, row_id: str, primary: bool) -> list[dict[str, str]]:
        if not primary or "flow-triggers" not in self._view.includes:
            return []
        flows = self._store.records("flow")
        return [identifier("flow", flow.id) for flow in flows if row_id in flow.related.get(relation, ())]

    def _if_included(self, name: str, data: list[dict[str, str]], primary: bool) -> object:
        return data if primary and name in self._view.includes else LINKS_ONLY

    def resource(
        self,
        resource: str,
        resource_id: str,
        attributes: "Attributes | msgspec.Raw",
        related: Related | None = None,
        path: str = "",
    ) -> bytes:
        """A resource object; `path` is its collection, where that is not the type with an s."""
        names = self._view.fields.get(resource)
        if names is not None and isinstance(attributes, dict):
            attributes = project(attributes, names)
        document: Attributes = {"type": resource, "id": resource_id, "attributes": attributes}
        if related:
            document["relationships"] = _relationships(self._view.base, path or f"{resource}s", resource_id, related)
        document["links"] = {"self": f"{self._view.base}/api/{path or f'{resource}s'}/{resource_id}/"}
        return msgspec.json.encode(document)

    def _relationships(self, resource: str, resource_id: str, related: Related) -> Attributes:
        return _relationships(self._view.base, f"{resource}s", resource_id, related)


def record(
    shapes: Shapes,
    kind: Kind,
    row: Record,
    relations: Mapping[str, tuple[Relation, Ids] | None],
    operation: str,
) -> bytes:
    """A record with the attributes that the revision has; of relations given as None, only the links."""
    view = shapes.view
    names = documented_fields(kind.type, view.revision) | only_at(operation, kind.type, view.revision)
    if operation:
        names |= view.additional
    attributes = {
        name: _timed(kind, value) if name in TIMES else value for name, value in row.attributes.items() if name in names
    }
    related: Attributes = {}
    for name, found in relations.items():
        if found is None:
            related[name] = LINKS_ONLY
        else:
            ids = [identifier(found[0].type, row_id) for row_id in found[1]]
            related[name] = ids if found[0].many else next(iter(ids), None)
    return shapes.resource(kind.type, row.id, attributes, related, kind.path)


def _timed(kind: Kind, time_us: int | None) -> str | None:
    return in_micros(time_us) if kind.in_micros else in_seconds(time_us)


def _relationships(base: str, path: str, resource_id: str, related: Related) -> Attributes:
    root = f"{base}/api/{path}/{resource_id}/"
    written: Attributes = {}
    for name, data in related.items():
        links = {"self": f"{root}relationships/{name}/", "related": f"{root}{name}/"}
        written[name] = {"links": links} if data is LINKS_ONLY else {"data": data, "links": links}
    return written


@lru_cache(maxsize=64)
def _links(base: str, resource: str, names: tuple[str, ...]) -> bytes:
    """A resource from its relationships on, links only, with a mark where the id goes."""
    mark = _ID.decode()
    document = {
        "relationships": _relationships(base, f"{resource}s", mark, dict.fromkeys(names, LINKS_ONLY)),
        "links": {"self": f"{base}/api/{resource}s/{mark}/"},
    }
    return msgspec.json.encode(document)[1:]


def _profile_relationships(revision: str, primary: bool) -> tuple[str, ...]:
    """Of a profile's relationships, the one to conversations came late and was renamed, not everywhere."""
    names = ("lists", "segments", "push-tokens")
    if revision >= "2026-07-15" and primary:
        return (*names, "conversations")
    return (*names, "conversation") if revision >= "2026-04-15" else names


def _sparse(document: bytes, names: tuple[str, ...]) -> bytes:
    attributes = _RAW.decode(document)
    return msgspec.json.encode({name: value for name, value in attributes.items() if name in names})


def _event_template(base: bytes) -> bytes:
    root = base.replace(b"%", b"%%") + b"/api/events/%b/"
    return b"".join(
        (
            b'{"type":"event","id":"%b","attributes":%b,"relationships":{"profile":{%b"links":{"self":"',
            root,
            b'relationships/profile/","related":"',
            root,
            b'profile/"}},"metric":{%b"links":{"self":"',
            root,
            b'relationships/metric/","related":"',
            root,
            b'metric/"}}%b},"links":{"self":"',
            root,
            b'"}}',
        )
    )
