"""Flows with their actions and messages: those that the history knows of, and some more, archived ones too."""

from typing import Any

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.rows import Flow
from klaviyo_pipeline.sandbox.data.shop.chance import Chance
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, SECOND

_MORE = (
    ("Win back", "draft", "Added to List", False),
    ("Post purchase 2024", "manual", "Unconfigured", True),
    ("Price drop alert", "draft", "Price Drop", False),
    ("Old welcome", "draft", "Added to List", True),
)
_SUBJECTS = ("A note from Nordhavn", "Still thinking about it?")
_FIRST_ACTION = 116_400_000


def _more_flows(made: Made) -> list[tuple[Flow, bool]]:
    chance = made.chance("flows")
    since = made.shop.since
    return [
        (
            Flow(
                id=chance.short_id(),
                name=name,
                status=status,
                trigger_type=trigger,
                created=since - 120 * DAY,
                updated=(since - int(chance.random() * 90 * DAY)) // SECOND * SECOND,
                message_ids=(chance.short_id(),),
            ),
            archived,
        )
        for name, status, trigger, archived in _MORE
    ]


def _all_flows(made: Made) -> list[tuple[Flow, bool]]:
    return [(flow, False) for flow in made.shop.flows] + _more_flows(made)


def _flows(made: Made) -> list[Record]:
    tags, segments = made.shop.tags, made.records("segment")
    rows = []
    for number, (flow, archived) in enumerate(_all_flows(made)):
        by_segment = flow.trigger_type == "Added to List" and flow.list_id is None
        triggers = segments[number % len(segments)].id if by_segment else None
        attributes = {
            "name": flow.name,
            "status": flow.status,
            "archived": archived,
            "created": flow.created,
            "updated": flow.updated,
            "trigger_type": flow.trigger_type,
            "definition": _definition(flow, triggers, _action_ids(number, flow)),
        }
        related = {
            "tags": (tags[number % len(tags)].id,) if number % 2 == 0 else (),
            "trigger-lists": (flow.list_id,) if flow.list_id else (),
            "trigger-metrics": (flow.metric_id,) if flow.metric_id else (),
            "trigger-segments": (triggers,) if triggers else (),
        }
        rows.append(Record(flow.id, attributes, related))
    return rows


def _definition(flow: Flow, segment_id: str | None, action_ids: list[str]) -> dict[str, Any]:
    trigger: dict[str, Any] | None = None
    if flow.list_id:
        trigger = {"type": "list", "id": flow.list_id}
    elif segment_id:
        trigger = {"type": "segment", "id": segment_id}
    elif flow.metric_id:
        trigger = {"type": "metric", "id": flow.metric_id, "trigger_filter": None}
    return {
        "triggers": [trigger] if trigger else [],
        "profile_filter": None,
        "actions": [_action(flow, number, action_ids) for number in range(len(action_ids))],
        "entry_action_id": action_ids[0],
        "reentry_criteria": {"duration": 30, "unit": "day"},
    }


def _action_ids(number: int, flow: Flow) -> list[str]:
    """Before each message a delay."""
    return [str(_FIRST_ACTION + 100 * number + step) for step in range(2 * len(flow.message_ids))]


def _action(flow: Flow, step: int, action_ids: list[str]) -> dict[str, Any]:
    after = action_ids[step + 1] if step + 1 < len(action_ids) else None
    action: dict[str, Any] = {"id": action_ids[step], "links": {"next": after}}
    if step % 2 == 0:
        delay = {"unit": "hours", "value": 2 + 22 * (step // 2), "secondary_value": None}
        return {**action, "type": "time-delay", "data": delay}
    message = _message(flow, step // 2)
    return {**action, "type": "send-email", "data": {"message": message, "status": flow.status}}


def _message(flow: Flow, number: int) -> dict[str, Any]:
    return {
        "from_email": "hello@shop.example.com",
        "from_label": "Nordhavn Supply",
        "reply_to_email": None,
        "cc_email": None,
        "bcc_email": None,
        "subject_line": _SUBJECTS[number % len(_SUBJECTS)],
        "preview_text": flow.name,
        "template_id": None,
        "smart_sending_enabled": True,
        "transactional": False,
        "add_tracking_params": False,
        "custom_tracking_params": None,
        "additional_filters": None,
        "name": f"{flow.name}: email #{number + 1}",
        "id": flow.message_ids[number],
    }


def _actions(made: Made) -> list[Record]:
    rows = []
    for number, (flow, _) in enumerate(_all_flows(made)):
        action_ids = _action_ids(number, flow)
        for step, action_id in enumerate(action_ids):
            sends = step % 2 == 1
            attributes = {
                "created": flow.created + step * SECOND,
                "updated": flow.updated,
                "definition": _action(flow, step, action_ids),
                "action_type": "SEND_EMAIL" if sends else "TIME_DELAY",
                "status": flow.status,
                "settings": {},
                "tracking_options": {"add_utm": False, "utm_params": []} if sends else None,
                "send_options": {"use_smart_sending": True, "is_transactional": False} if sends else None,
                "render_options": None,
            }
            rows.append(Record(action_id, attributes, {"flow": (flow.id,)}))
    return rows


def _messages(made: Made) -> list[Record]:
    chance: Chance = made.chance("flow-messages")
    templates = made.shop.templates
    rows = []
    for number, (flow, _) in enumerate(_all_flows(made)):
        action_ids = _action_ids(number, flow)
        for place, message_id in enumerate(flow.message_ids):
            definition = _message(flow, place)
            attributes = {
                "name": definition["name"],
                "channel": "Email",
                "content": {
                    "subject": definition["subject_line"],
                    "preview_text": definition["preview_text"],
                    "from_email": definition["from_email"],
                    "from_label": definition["from_label"],
                    "reply_to_email": None,
                    "cc_email": None,
                    "bcc_email": None,
                },
                "created": flow.created + place * SECOND,
                "updated": flow.updated,
                "definition": definition,
            }
            related = {
                "flow-action": (action_ids[2 * place + 1],),
                "template": (chance.one_of(templates).id,) if templates else (),
            }
            rows.append(Record(message_id, attributes, related))
    return rows


MAKERS: Makers = {"flow": _flows, "flow-action": _actions, "flow-message": _messages}
