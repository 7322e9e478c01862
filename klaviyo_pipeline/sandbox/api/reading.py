"""Reads the rows of a page for a checked query: chooses the array, the bounds and the predicate."""

from collections.abc import Callable
from typing import Any

from klaviyo_pipeline.sandbox.api.campaign_shapes import message_status
from klaviyo_pipeline.sandbox.api.errors import ApiError, invalid
from klaviyo_pipeline.sandbox.api.filters import Condition
from klaviyo_pipeline.sandbox.api.query import Query, bad_cursor
from klaviyo_pipeline.sandbox.data.kinds import NUMBERS, TIMES
from klaviyo_pipeline.sandbox.data.rows import (
    Campaign,
    Event,
    MailingList,
    Member,
    Message,
    Metric,
    Profile,
    Template,
    Value,
)
from klaviyo_pipeline.sandbox.data.store import Store, suppressions
from klaviyo_pipeline.sandbox.data.tables import Members, Page, R, Table, cut, take
from klaviyo_pipeline.sandbox.data.times import SECOND, moment

_DATED = TIMES | {"datetime", "scheduled_at"}
_CHANNELS = ("email", "sms", "mobile_push")
_TIME_SORTS = ("created", "updated", "_at", "timestamp")
_BISECTED = ("created", "updated", "created_at", "updated_at")
"""Times that every row has; a missing one would stand at the start of its order, and meet an upper bound."""
_CANDIDATES = ("id", "email", "phone_number", "external_id")


def holds(condition: Condition, value: Value) -> bool:
    """Whether a row's value meets a condition; a missing one meets none."""
    wanted: Any = condition.value
    if value is None:
        return False
    match condition.operator:
        case "equals":
            return bool(value == wanted)
        case "any":
            return value in wanted
        case "contains":
            return str(wanted) in str(value)
        case "starts-with":
            return str(value).startswith(str(wanted))
        case "ends-with":
            return str(value).endswith(str(wanted))
        case "greater-than":
            return bool(value > wanted)
        case "greater-or-equal":
            return bool(value >= wanted)
        case "less-than":
            return bool(value < wanted)
        case _:
            return bool(value <= wanted)


def _keeping(query: Query, value_of: Callable[[Any, str], Any]) -> Callable[[Any], bool] | None:
    bounds = _bounds(query)
    conditions = [found for found in query.conditions if found not in bounds]
    if not conditions:
        return None
    return lambda row: all(holds(condition, value_of(row, condition.field)) for condition in conditions)


def _bounds(query: Query) -> list[Condition]:
    """The conditions that a bisection of the order answers: bounds on the time that is sorted by."""
    if query.sort not in _BISECTED:
        return []
    return [found for found in query.conditions if found.field == query.sort and found.operator != "equals"]


def _page(table: Table[R], query: Query, order: str, **options: Value) -> Page[R]:
    sort = query.sort or order
    _check_cursor(query, is_time=sort.endswith(_TIME_SORTS))
    bounds = [_time_bound(found) for found in _bounds(query)]
    return table.select(
        sort,
        descending=query.descending,
        after=query.after,
        size=query.size,
        bounds=bounds,
        next_after=query.place_after,
        **options,
    )


def page_of(
    table: Table[R], query: Query, *, keep: Callable[[R], bool] | None = None, among: list[R] | None = None
) -> Page[R]:
    """A page of a table as a query asks for it, of the rows kept, and only among these, if given."""
    size = query.size or max(1, len(table))
    sort = query.sort or "id"
    _check_cursor(query, is_time=sort in NUMBERS)
    return table.select(
        sort,
        descending=query.descending,
        after=query.after,
        size=size,
        keep=keep,
        among=among,
        next_after=query.place_after,
    )


def _check_cursor(query: Query, *, is_time: bool) -> None:
    """Refuse a cursor of another sort, whose value compares to none here."""
    if query.after is not None and isinstance(query.after[0], int) != is_time:
        raise bad_cursor()


def metrics(store: Store, query: Query) -> Page[Metric]:
    """Metrics by integration. A filter on the category is taken, but never finds any (recorded)."""

    def value_of(row: Metric, field: str) -> Value:
        return row.integration["name"] if field == "integration.name" else None

    return _page(store.metrics, query, "id", keep=_keeping(query, value_of))


def check_past(query: Query, now: float) -> None:
    """Refuse a bound that lies in the future (recorded of flows, reported of events and campaigns).

    Raises:
        ApiError: 400.
    """
    for condition in query.conditions:
        if not isinstance(condition.value, int) or condition.field not in _DATED:
            continue
        at = condition.value * (SECOND if condition.field == "timestamp" else 1)
        if at > now * SECOND:
            text = moment(at).strftime("%Y-%m-%dT%H:%M:%S")
            raise invalid(f"End date may not be in the future: {text}", pointer=condition.field)


def events(store: Store, query: Query, revision: str) -> Page[Event]:
    """Events in order of time, newest first unless sorted (the default is inferred).

    Before 2026-07-15 an event whose metric can't be resolved was left out.
    """
    rows = store.events.sorted
    metric_id, profile_id = query.value("metric_id"), query.value("profile_id")
    if metric_id is not None:
        if metric_id not in store.metrics:
            raise invalid(f"Metric IDs ['{metric_id}'] do not exist.", parameter="filter")
        rows = store.events.of_metric(metric_id)
        if profile_id is not None:
            rows = [event for event in rows if event.profile_id == profile_id]
    elif profile_id is not None:
        rows = store.events.of_profile(profile_id)
    bounds = [_event_bound(found) for found in query.conditions if found.field in ("datetime", "timestamp")]
    descending = query.descending if query.sort else True
    _check_cursor(query, is_time=True)
    span = cut(rows, bounds, query.after, descending)
    found, more = take(rows, span, descending, query.size, _event_predicate(store, query, revision))
    return Page(found, query.place_after([event[:2] for event in found]) if more else None)


def _event_predicate(store: Store, query: Query, revision: str) -> Callable[[Event], bool] | None:
    known = _resolvable_events(store, query, revision)
    if not query.without:
        return known
    return lambda event: (
        not any(since <= event.timestamp < until for since, until in query.without) and (known is None or known(event))
    )


def _resolvable_events(store: Store, query: Query, revision: str) -> Callable[[Event], bool] | None:
    fields = {condition.field for condition in query.conditions}
    metrics_known, profiles_known = store.metrics.rows, store.profiles.rows
    resolvable = "metric" in fields or (revision < "2026-07-15" and "metric_id" not in fields)
    if resolvable and "profile" in fields:
        return lambda event: event.metric_id in metrics_known and event.profile_id in profiles_known
    if resolvable:
        return lambda event: event.metric_id in metrics_known
    if "profile" in fields:
        return lambda event: event.profile_id in profiles_known
    return None


def _event_bound(condition: Condition) -> tuple[str, int]:
    """A bound in whole seconds, which is what an event's time is kept in."""
    value = condition.value
    if not isinstance(value, int):
        raise TypeError(condition)
    if condition.field == "timestamp":
        return condition.operator, value
    down = condition.operator in ("greater-than", "less-or-equal")
    return condition.operator, value // SECOND if down else -(-value // SECOND)


def profiles(store: Store, query: Query) -> Page[Profile]:
    """Profiles; by id, address, phone number or external id through a hash."""
    _check_suppression_filter(query)
    among = None
    for condition in query.conditions:
        if condition.field in _CANDIDATES:
            values = condition.value if isinstance(condition.value, tuple) else (condition.value,)
            among = store.profiles.with_value(condition.field, values)
            break
    return _page(store.profiles, query, "id", keep=_keeping_profiles(query), among=among)


def _keeping_profiles(query: Query) -> Callable[[Profile], bool] | None:
    bounds = _bounds(query)
    plain = [
        found for found in query.conditions if found not in bounds and not found.field.startswith("subscriptions.")
    ]
    by_list = any(".list_suppressions." in found.field for found in query.conditions)
    suppressed = [found for found in query.conditions if found.field.startswith("subscriptions.")]
    if not plain and not suppressed:
        return None

    def keep(row: Profile) -> bool:
        if not all(holds(found, getattr(row, found.field, None)) for found in plain):
            return False
        return not suppressed or any(
            all(holds(found, getattr(entry, found.field.rpartition(".")[2])) for found in suppressed)
            for entry in suppressions(row, of_list=by_list)
        )

    return keep


def _check_suppression_filter(query: Query) -> None:
    """Rules of the SDK's changelog (6.0.0): not mixed, and a list's needs its list_id (wording inferred)."""
    fields = {condition.field for condition in query.conditions}
    by_list = {field for field in fields if ".list_suppressions." in field}
    by_account = {field for field in fields if ".marketing.suppression." in field}
    if by_list and by_account:
        raise _suppression_error("List suppression and global suppression filters cannot be combined.")
    if by_list and not any(field.endswith(".list_id") for field in by_list):
        raise _suppression_error("A list_suppressions filter requires a list_id.")


def _suppression_error(detail: str) -> ApiError:
    return invalid(detail, parameter="filter")


def lists(store: Store, query: Query) -> Page[MailingList]:
    """Lists, by id unless sorted (recorded)."""
    return _page(store.lists, query, "id", keep=_keeping(query, getattr))


def templates(store: Store, query: Query) -> Page[Template]:
    """Templates."""
    return _page(store.templates, query, "id", keep=_keeping(query, getattr))


def members(store: Store, joined: Members, query: Query) -> Page[Member]:
    """Members in order of joining. A `push_token` or `_kx` finds none: the sandbox keeps neither."""
    rows = joined.sorted
    descending = query.descending if query.sort else True
    bounds = [_time_bound(found) for found in query.conditions if found.field == "joined_group_at"]
    others = [found for found in query.conditions if found.field != "joined_group_at"]
    _check_cursor(query, is_time=True)
    known = store.profiles.rows

    def keep(member: Member) -> bool:
        row = known.get(member.profile_id)
        return row is not None and all(holds(found, _of_member(row, found.field)) for found in others)

    found, more = take(rows, cut(rows, bounds, query.after, descending), descending, query.size, keep)
    return Page(found, query.place_after(found) if more else None)


def _of_member(row: Profile, field: str) -> Value:
    return row.id if field == "profile_id" else getattr(row, field, None)


def _time_bound(condition: Condition) -> tuple[str, int]:
    if not isinstance(condition.value, int):
        raise TypeError(condition)
    return condition.operator, condition.value


def campaigns(store: Store, query: Query, revision: str) -> Page[Campaign]:
    """Campaigns, those archived only where asked for; up to 2026-07-15 of one channel.

    That 2026-10-15 too leaves out the archived by default is inferred.
    """
    if revision < "2026-10-15":
        channel = query.value("messages.channel")
        if channel not in _CHANNELS:
            choices = ", ".join(f"equals(messages.channel,'{found}')" for found in _CHANNELS)
            raise invalid(  # inferred wording
                "A channel filter is required to list campaigns. "
                f"Include one of the following in the filter: {choices}",
                parameter="filter",
            )
    bounds = _bounds(query)
    conditions = [found for found in query.conditions if found not in bounds]
    if query.value("archived") is None:
        conditions.append(Condition("archived", "equals", False))

    def keep(row: Campaign) -> bool:
        return all(
            holds(found, row.channel if found.field == "messages.channel" else getattr(row, found.field))
            for found in conditions
        )

    return _page(store.campaigns, query, "id", keep=keep)


def campaign_messages(store: Store, query: Query) -> Page[Message]:
    """All campaigns' messages (2026-10-15)."""
    statuses = {message.id: message_status(campaign) for campaign in store.campaigns for message in campaign.messages}
    table: Table[Message] = Table(
        (message for campaign in store.campaigns for message in campaign.messages),
        {
            "id": lambda row: row.id,
            "name": lambda row: row.label,
            "status": lambda row: statuses[row.id],
            "created": lambda row: row.created,
            "updated": lambda row: row.updated,
        },
    )

    def value_of(row: Message, field: str) -> Value:
        if field == "status":
            return statuses[row.id]
        return row.label if field == "name" else getattr(row, field)

    return _page(table, query, "id", keep=_keeping(query, value_of))
