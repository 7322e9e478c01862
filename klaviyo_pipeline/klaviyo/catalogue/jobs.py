"""Jobs that Klaviyo runs in the background: imports of profiles, suppressions, and the catalog's."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

from klaviyo_pipeline.klaviyo.catalogue.columns import Column
from klaviyo_pipeline.klaviyo.catalogue.declaring import (
    INTEGER,
    JSON,
    STRING,
    TIMESTAMP,
    attribute,
    id_,
    key,
    pair,
    required,
)
from klaviyo_pipeline.klaviyo.catalogue.model import DOC, EXTRA_LARGE, LARGE, MEDIUM, PROFILE_TIER, FanOut, Part, Source

_BASE = (
    id_("The job's id."),
    required(attribute("status", STRING, "queued, processing, complete or cancelled.")),
    required(attribute("created_at", TIMESTAMP, "When the job was created.")),
    attribute("completed_at", TIMESTAMP, "When it ended."),
    required(attribute("total_count", INTEGER, "How many rows it was given.")),
    attribute("completed_count", INTEGER, "How many of them are done."),
)
_FAILED = attribute("failed_count", INTEGER, "How many of them failed.")
_EXPIRES = attribute("expires_at", TIMESTAMP, "When the job expires.")
COUNTED_JOB = (*_BASE, _FAILED, _EXPIRES, attribute("errors", JSON, "Why rows failed."))
IMPERSONAL_JOB = (
    *("id", "kind", "status", "created_at", "started_at", "completed_at", "expires_at"),
    *("total_count", "completed_count", "failed_count", "skipped_count"),
)

PROFILE_IMPORT_JOBS = Source(
    name="profile_import_jobs",
    title="Profile import jobs",
    description="Jobs that imported profiles.",
    doc=DOC + "get_bulk_import_profiles_jobs",
    path="/api/profile-bulk-import-jobs",
    resource="profile-bulk-import-job",
    scopes=("lists:read", "profiles:read"),
    columns=(*_BASE, _FAILED, _EXPIRES, attribute("started_at", TIMESTAMP, "When it began.")),
    impersonal=IMPERSONAL_JOB,
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    incremental=False,
    shows_deletions=True,
)

_OF_IMPORT = FanOut(
    parent="profile_import_jobs",
    noun="import job",
    id_column="job_id",
    setting="job_ids",
    limits="Read these jobs only.",
)
_JOB_ID = key(Column("job_id", STRING, None, "The job; joins profile_import_jobs.id."), "profile_import_jobs")

PROFILE_IMPORT_ERRORS = Source(
    name="profile_import_errors",
    title="Profile import errors",
    description="Rows that import jobs refused, and why. They hold personal data.",
    doc=DOC + "get_errors_for_bulk_import_profiles_job",
    path="/api/profile-bulk-import-jobs/{id}/import-errors",
    resource="import-error",
    scopes=("profiles:read",),
    columns=(
        id_("The error's id."),
        _JOB_ID,
        required(attribute("code", STRING, "The kind of error.")),
        required(attribute("title", STRING, "The error in some words.")),
        required(attribute("detail", STRING, "The error in a sentence.")),
        attribute("source", JSON, "Which part of the row it is about."),
        attribute("original_payload", JSON, "The row as it was sent."),
    ),
    impersonal=("id", "job_id", "code", "title"),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    fan_out=replace(_OF_IMPORT, childless=(("failed_count", frozenset({0})),)),
    incremental=False,
    shows_deletions=True,
)

PROFILE_IMPORT_JOB_LISTS = Source(
    name="profile_import_job_lists",
    title="Lists of import jobs",
    description="Which lists each job added profiles to.",
    doc=DOC + "get_list_ids_for_bulk_import_profiles_job",
    path="/api/profile-bulk-import-jobs/{id}/relationships/lists",
    resource="list",
    scopes=("lists:read",),
    columns=(
        pair("job_id", "list_id"),
        _JOB_ID,
        key(replace(id_("The list; joins lists.id."), name="list_id"), "lists"),
    ),
    impersonal=("id", "job_id", "list_id"),
    tier=(("", MEDIUM),),
    fan_out=_OF_IMPORT,
    incremental=False,
    shows_deletions=True,
)

PROFILE_IMPORT_JOB_PROFILES = Source(
    name="profile_import_job_profiles",
    title="Profiles of import jobs",
    description="Which profiles each job imported. It can be as large as the table of profiles.",
    doc=DOC + "get_profile_ids_for_bulk_import_profiles_job",
    path="/api/profile-bulk-import-jobs/{id}/relationships/profiles",
    resource="profile",
    scopes=("profiles:read",),
    columns=(
        pair("job_id", "profile_id"),
        _JOB_ID,
        key(replace(id_("The profile; joins profiles.id."), name="profile_id"), "profiles"),
    ),
    impersonal=("job_id",),
    tier=(("", MEDIUM),),
    page_size=(("", 100),),
    fan_out=_OF_IMPORT,
    incremental=False,
    shows_deletions=True,
)


def _suppression_jobs(name: str, verb: str, operation: str, did: str) -> Source:
    return Source(
        name=name,
        title=f"{did} jobs".capitalize(),
        description=f"Jobs that {did} profiles.",
        doc=DOC + operation,
        path=f"/api/profile-suppression-bulk-{verb}-jobs",
        resource=f"profile-suppression-bulk-{verb}-job",
        scopes=("subscriptions:read",),
        columns=(*_BASE, attribute("skipped_count", INTEGER, "How many of them needed no change.")),
        impersonal=IMPERSONAL_JOB,
        tier=PROFILE_TIER,
        incremental=False,
        shows_deletions=True,
    )


SUPPRESSION_JOBS = _suppression_jobs("suppression_jobs", "create", "get_bulk_suppress_profiles_jobs", "suppressed")
UNSUPPRESSION_JOBS = _suppression_jobs(
    "unsuppression_jobs", "delete", "get_bulk_unsuppress_profiles_jobs", "unsuppressed"
)

CATALOG_JOBS = Source(
    name="catalog_jobs",
    title="Catalog jobs",
    description="Jobs that changed items, variants and categories of the catalog: nine collections in one table.",
    doc=DOC + "get_bulk_create_catalog_items_jobs",
    path="/api/catalog-item-bulk-create-jobs",
    resource="catalog-item-bulk-create-job",
    scopes=("catalogs:read",),
    columns=(
        *COUNTED_JOB,
        required(Column("kind", STRING, None, "What it did: item-create, variant-update, category-delete and so on.")),
    ),
    impersonal=IMPERSONAL_JOB,
    # From 2026-04-15 on the limit of those that create and update items and variants, the lowest.
    tier=(("", EXTRA_LARGE), ("2026-04-15", LARGE)),
    parts=tuple(
        Part(f"/api/catalog-{what}-bulk-{verb}-jobs", (("kind", f"{what}-{verb}"),))
        for what, verb in product(("item", "variant", "category"), ("create", "update", "delete"))
    ),
    incremental=False,
    shows_deletions=True,
)
