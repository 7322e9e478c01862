"""The JSON Schema of klaviyo.yml, from the model and the catalogue."""

from __future__ import annotations

from typing import Any

from klaviyo_pipeline.accounts.model import AccountsFile


def json_schema() -> dict[str, Any]:
    """A schema for editors."""
    schema = AccountsFile.model_json_schema(by_alias=True)
    schema["properties"]["accounts"]["propertyNames"] = {
        "pattern": "^[A-Za-z][A-Za-z0-9_]*$",
        "not": {"const": "default"},
    }
    return {
        **schema,
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "The accounts of klaviyo_pipeline",
    }
