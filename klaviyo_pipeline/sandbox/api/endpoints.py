"""Each operation: rows read, shaped, and put into a JSON:API document."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from klaviyo_pipeline.sandbox.api import aggregates, entities, reading, records, reports
from klaviyo_pipeline.sandbox.api.contracts import Endpoint
from klaviyo_pipeline.sandbox.api.documents import Call, collection, single, whole
from klaviyo_pipeline.sandbox.api.errors import invalid, not_found
from klaviyo_pipeline.sandbox.api.shapes import identifier
from klaviyo_pipeline.sandbox.data.rows import Campaign, Event, MailingList, Message, Metric, Profile
from klaviyo_pipeline.sandbox.data.store import Store
from klaviyo_pipeline.sandbox.data.tables import Members, Page

_EVENT_ID = re.compile(r"[0-9A-Za-z]{8,11}")
T = TypeVar("T")


Handler = Callable[[Call], bytes]


# ---- accounts and metrics


def get_accounts(call: Call) -> bytes:
    return collection(call, [call.shapes.account()], Page([None]))


def get_account(call: Call) -> bytes:
    if call.id != call.store.account["id"]:
        raise not_found(f"Account with id {call.id} not found.")
    return single(call, call.shapes.account())


def get_metrics(call: Call) -> bytes:
    page = reading.metrics(call.store, call.query)
    data = [call.shapes.metric(row) for row in page.rows]
    return collection(call, data, page, entities.included(call, "metric", page.rows))


def get_metric(call: Call) -> bytes:
    row = call.store.metrics.get(call.id)
    if row is None:
        raise not_found(f"Metric with id {call.id} does not exist.")
    return single(call, call.shapes.metric(row), entities.included(call, "metric", [row]))


# ---- events


def get_events(call: Call) -> bytes:
    reading.check_past(call.query, call.now)
    page = reading.events(call.store, call.query, call.revision)
    return collection(call, call.shapes.events(page.rows), page, _of_events(call, page.rows))


def get_event(call: Call) -> bytes:
    event = _event(call)
    return single(call, call.shapes.events([event])[0], _of_events(call, [event]))


def _event(call: Call) -> Event:
    if not _EVENT_ID.fullmatch(call.id):
        raise invalid(f"Invalid Event ID: '{call.id}'", pointer="/data/id")
    event = call.store.events.get(call.id)
    if event is None:
        raise not_found(f"An event with id {call.id} does not exist.")  # inferred wording
    return event


def _of_events(call: Call, events: list[Event]) -> list[bytes]:
    shapes, store, includes = call.shapes, call.store, call.query.includes
    found: list[bytes] = []
    if "metric" in includes:
        metrics = (store.metrics.get(key) for key in dict.fromkeys(event.metric_id for event in events))
        found += [shapes.metric(row, primary=False) for row in metrics if row]
    if "profile" in includes:
        profiles = (store.profiles.get(key) for key in dict.fromkeys(event.profile_id for event in events))
        found += [shapes.profile(row, primary=False) for row in profiles if row]
    if "attributions" in includes:
        found += [shapes.attribution(event, each) for event in events for each in event.attributions]
    return found


def get_metric_for_event(call: Call) -> bytes:
    row = _metric_of_event(call)
    return single(call, call.shapes.metric(row) if row else b"null")


def get_metric_id_for_event(call: Call) -> bytes:
    row = _metric_of_event(call)
    return single(call, msgspec.json.encode(identifier("metric", row.id) if row else None))


def _metric_of_event(call: Call) -> Metric | None:
    event = _event(call)
    row = call.store.metrics.get(event.metric_id)
    if row is None and call.revision < records.NULL_RELATED_SINCE:
        raise not_found(f"The metric of event {event.id} does not exist.")  # inferred wording
    return row


def get_profile_for_event(call: Call) -> bytes:
    row = _profile_of_event(call)
    return single(call, call.shapes.profile(row, primary=False) if row else b"null")


def get_profile_id_for_event(call: Call) -> bytes:
    row = _profile_of_event(call)
    return single(call, msgspec.json.encode(identifier("profile", row.id) if row else None))


def _profile_of_event(call: Call) -> Profile | None:
    event = _event(call)
    row = call.store.profiles.get(event.profile_id)
    if row is None and call.revision < records.NULL_RELATED_SINCE:
        raise not_found(f"The profile of event {event.id} does not exist.")  # inferred wording
    return row


# ---- profiles and lists


def get_profiles(call: Call) -> bytes:
    page = reading.profiles(call.store, call.query)
    return collection(
        call, [call.shapes.profile(row) for row in page.rows], page, entities.included(call, "profile", page.rows)
    )


def get_profile(call: Call) -> bytes:
    row = call.store.profiles.get(call.id)
    if row is None:
        raise not_found(f"A profile with id {call.id} does not exist.")
    return single(call, call.shapes.profile(row), entities.included(call, "profile", [row]))


def get_lists(call: Call) -> bytes:
    page = reading.lists(call.store, call.query)
    return collection(
        call, [call.shapes.mailing_list(row) for row in page.rows], page, entities.included(call, "list", page.rows)
    )


def get_list(call: Call) -> bytes:
    row = _list(call)
    return single(call, call.shapes.mailing_list(row), entities.included(call, "list", [row]))


def _list(call: Call) -> MailingList:
    row = call.store.lists.get(call.id)
    if row is None:
        raise not_found(f"A list with id `{call.id}` does not exist.")
    return row


def get_profiles_for_list(call: Call) -> bytes:
    return _members(call, call.store.members[_list(call).id])


def get_profile_ids_for_list(call: Call) -> bytes:
    return _member_ids(call, call.store.members[_list(call).id])


def get_profiles_for_segment(call: Call) -> bytes:
    return _members(call, _segment_members(call))


def get_profile_ids_for_segment(call: Call) -> bytes:
    return _member_ids(call, _segment_members(call))


def _segment_members(call: Call) -> Members:
    if call.id not in call.store.records("segment"):
        raise not_found(entities.missing("segment", call.id))
    return call.store.members_of("segments").get(call.id, Members())


def _members(call: Call, joined: Members) -> bytes:
    page = reading.members(call.store, joined, call.query)
    known = call.store.profiles.rows
    data = [
        call.shapes.profile(known[member.profile_id], primary=False, joined_at=member.joined_at) for member in page.rows
    ]
    return collection(call, data, page)


def _member_ids(call: Call, joined: Members) -> bytes:
    page = reading.members(call.store, joined, call.query)
    data = [msgspec.json.encode(identifier("profile", member.profile_id)) for member in page.rows]
    return collection(call, data, page)


# ---- templates and campaigns


def get_templates(call: Call) -> bytes:
    page = reading.templates(call.store, call.query)
    return collection(call, [call.shapes.template(row) for row in page.rows], page)


def get_template(call: Call) -> bytes:
    row = call.store.templates.get(call.id)
    if row is None:
        raise not_found(f"Template with id '{call.id}' does not exist")
    return single(call, call.shapes.template(row))


def get_campaigns(call: Call) -> bytes:
    reading.check_past(call.query, call.now)
    page = reading.campaigns(call.store, call.query, call.revision)
    return collection(call, [call.shapes.campaign(row) for row in page.rows], page, _of_campaigns(call, page.rows))


def get_campaign(call: Call) -> bytes:
    row = _campaign(call)
    return single(call, call.shapes.campaign(row), _of_campaigns(call, [row]))


def _campaign(call: Call) -> Campaign:
    row = call.store.campaigns.get(call.id)
    if row is None:
        raise not_found(f"A campaign with id '{call.id}' does not exist.")
    return row


def _of_campaigns(call: Call, campaigns: list[Campaign]) -> list[bytes]:
    found: list[bytes] = []
    messages = [(row, message) for row in campaigns for message in row.messages]
    if "campaign-messages" in call.query.includes:
        found += [call.shapes.message(row, message) for row, message in messages]
    if "campaign-audiences" in call.query.includes:
        found += [call.shapes.audience(row, message) for row, message in messages]
    return found + entities.included(call, "campaign", campaigns)


def get_messages_for_campaign(call: Call) -> bytes:
    campaign = _campaign(call)
    data = [call.shapes.message(campaign, message) for message in campaign.messages]
    included = [part for message in campaign.messages for part in _of_message(call, campaign, message)]
    if call.revision >= "2026-10-15":
        return collection(call, data, Page(list(campaign.messages)), dict.fromkeys(included))
    return whole(call, data, dict.fromkeys(included))


def get_message_ids_for_campaign(call: Call) -> bytes:
    campaign = _campaign(call)
    data = [msgspec.json.encode(identifier("campaign-message", found.id)) for found in campaign.messages]
    if call.revision >= "2026-10-15":
        return collection(call, data, Page(list(campaign.messages)))
    return whole(call, data)


def _of_message(call: Call, campaign: Campaign, message: Message) -> list[bytes]:
    found: list[bytes] = []
    if "campaign" in call.query.includes:
        found.append(call.shapes.campaign(campaign, primary=False))
    if "campaign-variations" in call.query.includes:
        found.append(call.shapes.variation(campaign, message))
    if "template" in call.query.includes:
        template = call.store.templates.get(message.template_id)
        found += [call.shapes.template(template)] if template else []
    return found


def get_campaign_audiences_for_campaign(call: Call) -> bytes:
    campaign = _campaign(call)
    return whole(call, [call.shapes.audience(campaign, message) for message in campaign.messages])


def get_campaign_messages(call: Call) -> bytes:
    page = reading.campaign_messages(call.store, call.query)
    campaigns = call.store.campaigns.rows
    data = [call.shapes.message(campaigns[row.campaign_id], row) for row in page.rows]
    included = [part for row in page.rows for part in _of_message(call, campaigns[row.campaign_id], row)]
    return collection(call, data, page, dict.fromkeys(included))


def get_campaign_message(call: Call) -> bytes:
    campaign, message = _message(call)
    return single(call, call.shapes.message(campaign, message), _of_message(call, campaign, message))


def get_variations_for_campaign_message(call: Call) -> bytes:
    return whole(call, [call.shapes.variation(*_message(call))])


def _message(call: Call) -> tuple[Campaign, Message]:
    found = call.store.campaign_message(call.id)
    if found is None:
        raise not_found(f"A campaign message with id '{call.id}' does not exist.")  # inferred wording
    return found


def query_metric_aggregates(call: Call) -> bytes:
    attributes = aggregates.aggregate(call.store, aggregates.parse_body(call.request.body))
    names = call.query.fields.get("metric-aggregate")
    if names is not None:
        attributes = {name: value for name, value in attributes.items() if name in names}
    document = {
        "data": {
            "type": "metric-aggregate",
            "id": aggregates.answer_id(call.request.body),
            "attributes": attributes,
            "links": {"self": f"{call.request.base}/api/metric-aggregates/"},
        },
        "links": {"self": call.request.url(), "next": None, "prev": None},
    }
    return msgspec.json.encode(document)


HANDLERS: dict[str, Handler] = {
    handler.__name__: handler
    for handler in (
        get_accounts,
        get_account,
        get_metrics,
        get_metric,
        get_events,
        get_event,
        get_metric_for_event,
        get_metric_id_for_event,
        get_profile_for_event,
        get_profile_id_for_event,
        get_profiles,
        get_profile,
        get_lists,
        get_list,
        get_profiles_for_list,
        get_profile_ids_for_list,
        get_profiles_for_segment,
        get_profile_ids_for_segment,
        get_templates,
        get_template,
        get_campaigns,
        get_campaign,
        get_messages_for_campaign,
        get_message_ids_for_campaign,
        get_campaign_audiences_for_campaign,
        get_campaign_messages,
        get_campaign_message,
        get_variations_for_campaign_message,
        query_metric_aggregates,
    )
}


def handler(store: Store, endpoint: Endpoint) -> Handler | None:
    """What answers an operation; None where the sandbox does not serve it."""
    if endpoint.method == "POST" and endpoint.path.endswith(("-values-reports", "-series-reports")):
        return reports.answer
    written = HANDLERS.get(endpoint.operation)
    if written is not None or endpoint.method != "GET":
        return written
    return records.handler(store, endpoint.path)
