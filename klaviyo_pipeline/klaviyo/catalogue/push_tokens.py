"""Push tokens: the devices that can be sent to."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.declaring import STRING, TIMESTAMP, at, attribute, id_, related, required
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, MEDIUM, Include, Source

_DEVICE = (
    *("device_id", "klaviyo_sdk", "sdk_version", "device_model", "os_name", "os_version"),
    *("manufacturer", "app_name", "app_version", "app_build", "app_id", "environment"),
)

PUSH_TOKENS = Source(
    name="push_tokens",
    title="Push tokens",
    description="Devices that can get push messages, with their profiles. A token is a credential.",
    doc=DOC + "get_push_tokens",
    path="/api/push-tokens",
    resource="push-token",
    scopes=("profiles:read", "push-tokens:read"),
    since="2025-04-15",
    columns=(
        id_("The token's id."),
        related("profile_id", "profile", "Whose device it is; joins profiles.id.", "profiles"),
        required(attribute("token", STRING, "The token itself.")),
        required(attribute("created", TIMESTAMP, "When it was created.")),
        required(attribute("enablement_status", STRING, "AUTHORIZED, DENIED, PROVISIONAL and others.")),
        required(attribute("platform", STRING, "android or ios.")),
        required(attribute("vendor", STRING, "apns or fcm.")),
        required(attribute("background", STRING, "Whether the app may be woken in the background.")),
        attribute("recorded_date", STRING, "When the app last reported it, as text in Klaviyo's form."),
        *(
            at(f"metadata_{name}", STRING, f"The device's {name.replace('_', ' ')}.", "attributes", "metadata", name)
            for name in _DEVICE
        ),
    ),
    impersonal=("created", "enablement_status", "platform", "vendor", "background", "recorded_date"),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    includes=(Include("profile", fields=("created",), resource="profile"),),  # without it the relationship has no data
    incremental=False,
    shows_deletions=True,
)
