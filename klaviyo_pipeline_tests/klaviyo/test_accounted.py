"""Every list that Klaviyo's documents have is read, has the rows of what is read, or is left out for a reason."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES, parent_of
from klaviyo_pipeline_tests.sandbox import openapi

pytestmark = pytest.mark.skipif(not openapi.DOCUMENTS.exists(), reason="no OpenAPI documents beside the repository")

REVISIONS = ("2025-01-15", "2026-07-15", "2026-10-15")

SAME_ROWS = {
    "/api/campaign-audiences/{id}/campaign-messages": "campaign_messages",
    "/api/campaign-messages": "campaign_messages",
    "/api/campaigns/{id}/campaign-audiences": "campaigns",
    "/api/campaigns/{id}/campaign-messages": "campaign_messages",
    "/api/campaigns/{id}/tags": "campaign_tags",
    "/api/catalog-items/{id}/categories": "catalog_category_items",
    "/api/catalog-items/{id}/variants": "catalog_item_variants",
    "/api/coupon-codes": "coupon_codes",
    "/api/custom-metrics/{id}/metrics": "custom_metrics",
    "/api/flow-actions/{id}/flow-messages": "flow_messages",
    "/api/flows/{id}/flow-actions": "flow_actions",
    "/api/flows/{id}/tags": "flow_tags",
    "/api/lists/{id}/flow-triggers": "list_flow_triggers",
    "/api/lists/{id}/tags": "list_tags",
    "/api/metrics/{id}/flow-triggers": "metric_flow_triggers",
    "/api/profiles/{id}/conversations": "conversations",
    "/api/profiles/{id}/lists": "list_profiles",
    "/api/profiles/{id}/push-tokens": "push_tokens",
    "/api/profiles/{id}/segments": "segment_profiles",
    "/api/segments/{id}/flow-triggers": "segment_flow_triggers",
    "/api/segments/{id}/tags": "segment_tags",
    "/api/tag-groups/{id}/tags": "tags",
    "/api/tags/{id}/campaigns": "campaign_tags",
    "/api/tags/{id}/flows": "flow_tags",
    "/api/tags/{id}/lists": "list_tags",
    "/api/tags/{id}/segments": "segment_tags",
}
"""What has the rows of a list that is not read itself."""
LEFT_OUT = {
    "/api/object-schemas/{id}/object-schemas": "which schemas belong together: a request each, few accounts",
    "/api/object-schemas/{id}/profile-object-schemas": "which schemas belong to profiles: a request each, few accounts",
    "/api/object-types/{id}/object-types": "which types belong together: a request each, few accounts",
    "/api/object-types/{id}/profile-object-types": "which types belong to profiles: a request each, few accounts",
    "/client/geofences": "needs the public id of a company, not a private key",
    "/client/review-values-reports": "needs the public id of a company, not a private key",
    "/client/reviews": "needs the public id of a company, not a private key; reviews has the same rows",
}


def of_ids(path: str) -> str:
    """A list of ids counts with the list of what has them."""
    return path.replace("/relationships/", "/").replace("{job_id}", "{id}")


def read() -> set[str]:
    """The paths that data sources are read from."""
    sources = [parent_of(source) if source.child else source for source in SOURCES.values()]
    return {of_ids(path) for each in sources for path in (each.path, *(part.path for part in each.parts))}


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_list_of_the_documents_is_read_or_accounted_for(revision: str) -> None:
    paths = {of_ids(path) for path in openapi.lists(revision)}
    assert len(openapi.lists(revision)) > 80
    assert sorted(paths - read() - SAME_ROWS.keys() - LEFT_OUT.keys()) == []


def test_what_is_accounted_for_exists_and_is_not_read_itself() -> None:
    known = {of_ids(path) for revision in REVISIONS for path in openapi.lists(revision)}
    assert (SAME_ROWS.keys() | LEFT_OUT.keys()) <= known
    assert not (SAME_ROWS.keys() | LEFT_OUT.keys()) & read()
    assert not SAME_ROWS.keys() & LEFT_OUT.keys()
    assert set(SAME_ROWS.values()) <= set(SOURCES)


@pytest.mark.parametrize("revision", REVISIONS)
def test_every_data_source_is_read_from_a_path_that_the_documents_have(revision: str) -> None:
    documented = {path.replace("{job_id}", "{id}") for path in openapi.document(revision)["paths"]}
    for name, source in SOURCES.items():
        if source.since <= revision:
            assert source.path in documented, name
