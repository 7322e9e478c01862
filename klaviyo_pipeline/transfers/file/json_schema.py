"""The JSON Schema of transfer files, from the model and the catalogue."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from klaviyo_pipeline.klaviyo.catalogue.registry import SOURCES
from klaviyo_pipeline.transfers.file.model import ALIASES, Transfer, options_of
from klaviyo_pipeline.transfers.file.treasure_data import IGNORED_IN, IGNORED_OUT, IGNORED_SECTIONS, IN, OURS_TOO, OUT


def json_schema() -> dict[str, Any]:
    """A schema for files in our form and in Treasure Data's."""
    ours = Transfer.model_json_schema(by_alias=True)
    definitions = ours.pop("$defs")
    names = [*SOURCES, *ALIASES]
    ours["properties"]["source"] |= {"enum": names}
    ours["allOf"] = [_options_for(name) for name in SOURCES]
    theirs = {
        "title": "Treasure Data's form",
        "type": "object",
        "additionalProperties": False,
        "required": ["in"],
        "properties": {
            "in": {
                "type": "object",
                "additionalProperties": False,
                "required": ["data_source"],
                "properties": {
                    **{key: _property(key, path, ours, definitions) for key, path in IN.items()},
                    **_not_used(IGNORED_IN),
                },
            },
            "out": {
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    **{key: _destination(path, definitions) for key, path in OUT.items()},
                    **_not_used(IGNORED_OUT),
                },
            },
            **_not_used(IGNORED_SECTIONS),
            **{key: ours["properties"][key] for key in OURS_TOO},
        },
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A transfer of klaviyo_pipeline",
        "if": {"anyOf": [{"required": ["in"]}, {"required": ["out"]}]},
        "then": theirs,
        "else": ours,
        "$defs": definitions,
    }


def _not_used(keys: dict[str, str]) -> dict[str, Any]:
    """Keys that give a warning, with any value."""
    return {key: {"description": f"This key {text}", "deprecated": True} for key, text in keys.items()}


def _destination(path: tuple[Any, ...], definitions: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return {"enum": ["td", "stdout", "duckdb"]}
    found: dict[str, Any] = definitions["DestinationSettings"]["properties"][path[1]]
    return {"enum": [*found["enum"], "truncate", "always_replace"]} if path[1] == "mode" else found


def _options_for(source: str) -> dict[str, Any]:
    names = [source, *(alias for alias, name in ALIASES.items() if name == source)]
    properties = _option_properties(source)
    options = {"type": "object", "additionalProperties": False, "properties": properties}
    condition = {"properties": {"source": {"enum": names}}, "required": ["source"]}
    return {"if": condition, "then": {"properties": {"options": options}}}


def _option_properties(source: str) -> dict[str, Any]:
    found = {}
    for name, field in options_of(SOURCES[source]).items():
        annotation: Any = field.annotation
        found[name] = TypeAdapter(annotation).json_schema() | {"description": field.description}
        if name == "filter_by":
            allowed = [str(each) for each in SOURCES[source].filter_by]
            found[name] = {"enum": [*allowed, None], "description": field.description}
        elif not field.is_required() and field.default is not None:
            found[name]["default"] = field.default
    return found


def _property(key: str, path: tuple[Any, ...], ours: dict[str, Any], definitions: dict[str, Any]) -> dict[str, Any]:
    if not path:
        return {"const": "klaviyo"}
    if path[0] == "http":
        return dict(definitions["HttpSettings"]["properties"][path[1]])
    if path[0] == "options":
        every = {name: found for source in SOURCES for name, found in _option_properties(source).items()}
        found = {name: value for name, value in every[path[1]].items() if name != "default"}
        if key in {"list_id", "event_id"}:
            found = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
        return found
    if key == "td_authentication_id":
        return {"type": ["string", "integer"]}
    return dict(ours["properties"][path[0]])
