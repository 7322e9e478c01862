"""Custom objects: one type, repairs, with its schema, mapping, records and errors."""

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers
from klaviyo_pipeline.sandbox.data.times import DAY, HOUR

_TYPE, _SCHEMA, _SOURCE = "01JREPAIR00000000000000TYP", "01JREPAIR000000000000SCHEMA", "01JREPAIR00000000000SOURCE"
_MAPPING = "01JREPAIR0000000000MAPPING"
_NAMESPACE = "nordhavn"


def _data_sources(_: Made) -> list[Record]:
    attributes = {"title": "Workshop", "visibility": "private", "description": "Repairs", "namespace": _NAMESPACE}
    return [Record(_SOURCE, attributes)]


def _object_types(made: Made) -> list[Record]:
    created = made.shop.since - 60 * DAY
    attributes = {
        "title": "Repair",
        "description": "A repair of a product",
        "status": "active",
        "namespace": _NAMESPACE,
        "created_at": created,
        "updated_at": created + DAY,
    }
    return [Record(_TYPE, attributes, {"current-schema": (_SCHEMA,), "draft-schema": ()})]


def _object_schemas(made: Made) -> list[Record]:
    properties = [
        {"id": 1, "name": "id", "type": "string", "description": None},
        {"id": 2, "name": "product", "type": "string", "description": "The slug of the product"},
        {"id": 3, "name": "cost", "type": "float", "description": None},
    ]
    attributes = {
        "title": "Repair",
        "description": "A repair of a product",
        "status": "active",
        "properties": properties,
        "required": ["id"],
        "published_at": made.shop.since - 59 * DAY,
        "visibility": "private",
    }
    return [Record(_SCHEMA, attributes, {"object-type": (_TYPE,), "source-mapping": (_MAPPING,)})]


def _source_mappings(_: Made) -> list[Record]:
    simple = [
        {"id": number, "type": "simple", "source": {"source_id": _SOURCE, "id_path": "$.id", "data_path": f"$.{name}"}}
        for number, name in enumerate(("id", "product", "cost"), start=1)
    ]
    return [Record(_MAPPING, {"property_mappings": simple, "relationship_mappings": []})]


def _object_records(made: Made) -> list[Record]:
    items = made.records("catalog-item")
    rows = []
    for number in range(45):
        repair = f"R-{1000 + number}"
        product = items[number % len(items)].attributes["external_id"]
        values = {"id": repair, "product": product, "cost": 10.0 + number}
        rows.append(Record(f"{_TYPE}:::{repair}", {"record_properties": values}, {"object-type": (_TYPE,)}))
    return rows


def _ingestion_logs(made: Made) -> list[Record]:
    chance = made.chance("ingestion-logs")
    rows = []
    for number in range(3):
        attributes = {
            "status": "error",
            "event_type": "validation_error",
            "timestamp": made.shop.until - (number + 1) * 5 * HOUR,
            "summary": "cost is not a number",
            "errors": [{"code": "invalid_type", "message": "not a number", "property": "cost", "invalid_value": "n/a"}],
        }
        record = made.records("object-record")[number].id
        rows.append(Record(chance.ulid(made.shop.until), attributes, {"object-type": (_TYPE,),
                                                                     "object-record": (record,)}))  # fmt: skip
    return rows


def _none(_: Made) -> list[Record]:
    """Repairs are not related to profiles."""
    return []


MAKERS: Makers = {
    "profile-object-type": _none,
    "profile-object-schema": _none,
    "data-source": _data_sources,
    "object-type": _object_types,
    "object-schema": _object_schemas,
    "source-mapping": _source_mappings,
    "object-record": _object_records,
    "object-ingestion-log": _ingestion_logs,
}
