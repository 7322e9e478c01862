"""Sign-up forms and their versions."""

from typing import Any

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, SECOND

_FORMS = (
    ("Newsletter popup", "live", True, "popup"),
    ("Footer sign-up", "live", False, "embed"),
    ("Summer sale flyout", "draft", False, "flyout"),
    ("Back in stock", "live", False, "embed"),
)


def _forms(made: Made) -> list[Record]:
    chance = made.chance("forms")
    rows = []
    for number, (name, status, ab_test, form_type) in enumerate(_FORMS):
        created = made.shop.since - (80 - number) * DAY
        attributes = {
            "name": name,
            "status": status,
            "ab_test": ab_test,
            "created_at": created,
            "updated_at": created + int(chance.random() * 70 * DAY) // SECOND * SECOND,
            "definition": {"versions": [_version(form_type)] * (2 if ab_test else 1)},
        }
        rows.append(Record(chance.short_id(), attributes))
    return rows


def _version(form_type: str) -> dict[str, Any]:
    return {"type": form_type, "steps": [], "triggers": [], "teasers": [], "location": None, "status": "live"}


def _form_versions(made: Made) -> list[Record]:
    rows = []
    for number, (form, (_, status, ab_test, form_type)) in enumerate(zip(made.records("form"), _FORMS, strict=True)):
        for variant in range(2 if ab_test else 1):
            attributes = {
                "form_type": form_type,
                "variation_name": "B" if variant else "A",
                "ab_test": {"variation_name": "B" if variant else "A"} if ab_test else None,
                "status": status,
                "created_at": form.attributes["created_at"] + variant * DAY,
                "updated_at": form.attributes["updated_at"],
            }
            rows.append(Record(str(7_200_100 + 10 * number + variant), attributes, {"form": (form.id,)}))
    return rows


MAKERS: Makers = {"form": _forms, "form-version": _form_versions}
