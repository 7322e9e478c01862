"""What belongs to profiles: push tokens, conversations, and the jobs that imported or suppressed them."""

from collections.abc import Callable
from typing import Any

from klaviyo_pipeline.sandbox.data.kinds import Ids, Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR, MINUTE, in_seconds

_DEVICES = (("ios", "apns", "swift", "iPhone15,3", "Apple"), ("android", "fcm", "android", "Pixel 8", "Google"))


def _push_tokens(made: Made) -> list[Record]:
    chance = made.chance("push-tokens")
    rows = []
    for number, row in enumerate(found for found in made.shop.profiles if found.consent.push_at is not None):
        platform, vendor, sdk, model, maker = _DEVICES[number % 2]
        created = row.consent.push_at or row.created
        attributes = {
            "created": created,
            "token": f"{chance.getrandbits(256):064x}",
            "enablement_status": "AUTHORIZED" if number % 5 else "DENIED",
            "platform": platform,
            "vendor": vendor,
            "background": "AVAILABLE",
            "recorded_date": in_seconds(created),
            "metadata": {
                "device_id": f"device-{number:06d}",
                "klaviyo_sdk": sdk,
                "sdk_version": "4.1.0",
                "device_model": model,
                "os_name": platform,
                "os_version": "17.2" if platform == "ios" else "14",
                "manufacturer": maker,
                "app_name": "Nordhavn",
                "app_version": "2.3.0",
                "app_build": "230",
                "app_id": "com.example.nordhavn",
                "environment": "release",
            },
        }
        rows.append(Record(f"{chance.getrandbits(128):032x}", attributes, {"profile": (row.id,)}))
    return rows


def _conversations(made: Made) -> list[Record]:
    chance = made.chance("conversations")
    texted = (row for row in made.shop.profiles if row.consent.sms_at is not None)
    return [Record(chance.ulid(row.created), {"channel": "sms"}, {"profile": (row.id,)}) for row in texted]


def job(made: Made, resource: str, number: int, total: int, failed: int = 0) -> dict[str, Any]:
    """The attributes that all jobs have."""
    chance = made.chance(f"{resource}:{number}")
    created = made.moment(chance) + int(chance.random() * 1_000_000)
    return {
        "status": "complete",
        "created_at": created,
        "started_at": created + MINUTE,
        "total_count": total,
        "completed_count": total - failed,
        "failed_count": failed,
        "skipped_count": failed,
        "completed_at": created + HOUR,
        "expires_at": created + 7 * DAY,
        "errors": [],
    }


def job_id(made: Made, resource: str, number: int) -> str:
    """A job's id: a ULID of its time."""
    chance = made.chance(f"{resource}:{number}")
    return chance.ulid(made.moment(chance))


def _import_jobs(made: Made) -> list[Record]:
    resource = "profile-bulk-import-job"
    rows = []
    for number in range(3):
        profiles = tuple(row.id for row in made.shop.profiles[number * 30 : number * 30 + 30])
        errors = tuple(row.id for row in made.records("import-error")) if number == 1 else ()
        lists: Ids = tuple(row.id for row in made.shop.lists[:1])
        attributes = job(made, resource, number, len(profiles) + len(errors), len(errors))
        related = {"lists": lists, "profiles": profiles, "import-errors": errors}
        rows.append(Record(job_id(made, resource, number), attributes, related))
    return rows


def _import_errors(made: Made) -> list[Record]:
    chance = made.chance("import-errors")
    return [
        Record(
            f"{chance.getrandbits(128):032x}",
            {
                "code": "invalid",
                "title": "Invalid input.",
                "detail": "Invalid email address",
                "source": {"pointer": f"/data/attributes/profiles/data/{number}/attributes/email"},
                "original_payload": {"email": f"nobody{number}@@example.com"},
            },
        )
        for number in range(2)
    ]


def _suppression_jobs(resource: str) -> Callable[[Made], list[Record]]:
    def make(made: Made) -> list[Record]:
        lists: Ids = tuple(row.id for row in made.shop.lists[:1])
        return [
            Record(job_id(made, resource, number), job(made, resource, number, 12 + number, number),
                   {"lists": lists if number == 0 else ()})
            for number in range(2)
        ]  # fmt: skip

    return make


def _catalog_jobs(resource: str, relation: str, related: str) -> Callable[[Made], list[Record]]:
    def make(made: Made) -> list[Record]:
        ids = tuple(row.id for row in made.records(related)[:5])
        return [Record(job_id(made, resource, 0), job(made, resource, 0, len(ids)), {relation: ids})]

    return make


_OF_JOBS = (("catalog-item", "items"), ("catalog-variant", "variants"), ("catalog-category", "categories"))

MAKERS: Makers = {
    "push-token": _push_tokens,
    "conversation": _conversations,
    "import-error": _import_errors,
    "profile-bulk-import-job": _import_jobs,
    "coupon-code-bulk-create-job": _catalog_jobs("coupon-code-bulk-create-job", "coupon-codes", "coupon-code"),
    **{
        resource: _suppression_jobs(resource)
        for resource in ("profile-suppression-bulk-create-job", "profile-suppression-bulk-delete-job")
    },
    **{
        f"{related}-bulk-{verb}-job": _catalog_jobs(f"{related}-bulk-{verb}-job", relation, related)
        for related, relation in _OF_JOBS
        for verb in ("create", "update", "delete")
    },
}
