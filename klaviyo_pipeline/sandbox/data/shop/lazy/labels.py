"""Tags and the groups that they belong to."""

from klaviyo_pipeline.sandbox.data.kinds import Record
from klaviyo_pipeline.sandbox.data.shop.lazy.made import Made, Makers

_GROUPS = (
    ("7a1d3f60-52c4-4b8e-9c07-1d2e3f4a5b60", "Default Tag Group", False, True),
    ("7a1d3f61-52c4-4b8e-9c07-1d2e3f4a5b61", "Season", True, False),
)


def _tag_groups(_: Made) -> list[Record]:
    return [
        Record(group_id, {"name": name, "exclusive": exclusive, "default": default})
        for group_id, name, exclusive, default in _GROUPS
    ]


def _tags(made: Made) -> list[Record]:
    return [
        Record(tag.id, {"name": tag.name}, {"tag-group": (_GROUPS[tag.name == "seasonal"][0],)})
        for tag in made.shop.tags
    ]


MAKERS: Makers = {"tag-group": _tag_groups, "tag": _tags}
