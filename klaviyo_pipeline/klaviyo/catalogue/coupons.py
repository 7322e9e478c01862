"""Coupons and their codes."""

from __future__ import annotations

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    key,
    related,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.jobs import COUNTED_JOB, IMPERSONAL_JOB
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, PROFILE_TIER, FanOut, Source

COUPONS = Source(
    name="coupons",
    title="Coupons",
    description="The account's coupons.",
    doc=DOC + "get_coupons",
    path="/api/coupons",
    resource="coupon",
    scopes=("coupons:read",),
    columns=(
        id_("The coupon's id."),
        required(attribute("external_id", STRING, "Its id in the account's own system, such as Shopify.")),
        attribute("description", STRING, "What it is for."),
        attribute("monitor_configuration", JSON, "When Klaviyo warns that few codes are left."),
        attribute("assigner_configuration", JSON, "How codes are given out (from revision 2026-10-15 on)."),
    ),
    impersonal=("id", "external_id"),
    tier=PROFILE_TIER,
    page_size=(("", None), ("2026-04-15", 100)),
    incremental=False,
    shows_deletions=True,
)

COUPON_CODES = Source(
    name="coupon_codes",
    title="Coupon codes",
    description="The codes of each coupon, and who got them. There may be millions, and a page has a hundred.",
    doc=DOC + "get_coupon_codes_for_coupon",
    path="/api/coupons/{id}/coupon-codes",
    resource="coupon-code",
    scopes=("coupon-codes:read",),
    columns=(
        id_("The code's id."),
        key(Column("coupon_id", STRING, None, "The coupon; joins coupons.id."), "coupons"),
        related("profile_id", "profile", "Who got it; joins profiles.id.", "profiles"),
        attribute("unique_code", STRING, "The code."),
        attribute("expires_at", TIMESTAMP, "When it expires."),
        attribute("status", STRING, "UNASSIGNED, ASSIGNED_TO_PROFILE, USED, DELETING and others."),
    ),
    impersonal=("id", "coupon_id", "expires_at", "status"),
    tier=PROFILE_TIER,
    page_size=(("", None), ("2026-04-15", 100)),
    fan_out=FanOut(
        parent="coupons",
        noun="coupon",
        id_column="coupon_id",
        setting="coupon_ids",
        limits="Read the codes of these coupons only.",
    ),
    incremental=False,
    shows_deletions=True,
)

COUPON_CODE_JOBS = Source(
    name="coupon_code_jobs",
    title="Coupon code jobs",
    description="Jobs that made coupon codes.",
    doc=DOC + "get_bulk_create_coupon_code_jobs",
    path="/api/coupon-code-bulk-create-jobs",
    resource="coupon-code-bulk-create-job",
    scopes=("coupon-codes:read",),
    columns=COUNTED_JOB,
    impersonal=IMPERSONAL_JOB,
    tier=PROFILE_TIER,
    incremental=False,
    shows_deletions=True,
)
