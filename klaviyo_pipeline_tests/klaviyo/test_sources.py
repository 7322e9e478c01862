"""The catalogue: complete, of one piece, and agreed with by a Klaviyo that was written from the documents."""

from itertools import product

import pytest

from klaviyo_pipeline.errors import ConfigurationError
from klaviyo_pipeline.klaviyo.catalogue.columns import Column, ColumnType, since
from klaviyo_pipeline.klaviyo.catalogue.model import LARGE, MEDIUM, FilterBy, Source
from klaviyo_pipeline.klaviyo.catalogue.registry import DEFAULT, SOURCES, choose, parent_of, source_named
from klaviyo_pipeline.klaviyo.catalogue.revisions import REVISIONS
from klaviyo_pipeline.klaviyo.client.client import Request
from klaviyo_pipeline.klaviyo.client.rate_limits import RateLimits
from klaviyo_pipeline.klaviyo.extract.requests import PageSizes, first_request, streams_of, streams_of_parents
from klaviyo_pipeline.klaviyo.windows import TimeSlice
from klaviyo_pipeline.sandbox.api.catalogue import contract, route
from klaviyo_pipeline.sandbox.api.revisions import LIVING
from klaviyo_pipeline_tests.cases import case
from klaviyo_pipeline_tests.core import CORE

EVERY = tuple(SOURCES)


def _in_sandbox(source: Source) -> bool:
    return route("GET", source.path.format(id="x").removeprefix("/api/").split("/")) is not None


SERVED = [
    (name, revision)
    for name, source in SOURCES.items()
    for revision in LIVING
    if source.since <= revision and (name in CORE or _in_sandbox(source))
]


def test_catalogue_when_read_then_each_source_has_its_name_and_stands_after_its_parent() -> None:
    assert all(source.name == name for name, source in SOURCES.items())
    assert len({source.title for source in SOURCES.values()}) == len(SOURCES)
    for name, source in SOURCES.items():
        if source.fan_out is not None:
            assert EVERY.index(source.fan_out.parent) < EVERY.index(name)
            assert ("{id}" in source.path) == (source.report is None)


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.child])
def test_child_when_declared_then_its_rows_stand_in_a_column_of_its_parent_that_an_option_reads(name: str) -> None:
    child = SOURCES[name]
    assert child.child is not None
    parent = parent_of(child)
    assert parent.name not in EVERY or EVERY.index(parent.name) < EVERY.index(name)
    inside = next(each for each in (*parent.columns, *parent.staged) if each.name == child.child.inside)
    assert inside.type is ColumnType.JSON
    assert inside.option == child.child.option
    assert {"id", *(theirs for _ours, theirs in child.child.carries)} <= {each.name for each in parent.columns}
    assert {child.child.id_column, *(ours for ours, _ in child.child.carries)} <= {each.name for each in child.columns}
    assert not {each.name for each in parent.staged} & {each.name for each in parent.columns}
    assert set(parent.scopes) <= set(child.scopes)


def test_references_when_declared_then_name_sources() -> None:
    for name in EVERY:
        with case(name):
            assert {column.references for column in SOURCES[name].columns} - {None} <= set(SOURCES)


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("lists", ("lists",)),
        ("lists, metrics", ("metrics", "lists")),
        ("core -events*,-event_*", ("metrics", "templates", "campaigns", "lists", "list_profiles", "profiles")),
        ("catalog_cat*", ("catalog_categories", "catalog_category_items")),
        ("-events,tags", tuple(name for name in SOURCES if name in {*DEFAULT, "tags"} - {"events"})),
        ("+webhooks", tuple(name for name in SOURCES if name in {*DEFAULT, "webhooks"})),
        ("all", EVERY),
        ("default", DEFAULT),
    ],
)
def test_choice_when_words_add_and_take_away_then_is_in_the_catalogues_order(
    text: str, chosen: tuple[str, ...]
) -> None:
    assert choose(text) == chosen


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("evnts", r"no data source 'evnts'; did you mean events"),
        ("events, -flow", r"no data source 'flow'; did you mean flows"),
        ("core, catalogue_*", r"no data source 'catalogue_\*'; klaviyo-pipeline sources lists all"),
        ("lists, -lists", r"'lists, -lists' leaves no data source"),
    ],
)
def test_choice_when_a_word_names_nothing_then_message_names_what_is_like_it(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        choose(text)


def test_columns_when_declared_then_names_are_unique_and_described_and_the_key_is_first() -> None:
    for name in EVERY:
        with case(name):
            source = SOURCES[name]
            names = [column.name for column in source.columns]
            assert len({each.lower() for each in names}) == len(names)
            assert names[0] == "id"
            assert set(source.primary_key) <= set(names)
            assert all(column.description.endswith(".") for column in source.columns)
            assert all(column.name.isidentifier() and not column.name.startswith("_") for column in source.columns)
            assert source.version_column is None or source.version_column in names
            types = {column.name: column.type for column in source.columns}
            assert source.child or all(types[each.name] is ColumnType.TIMESTAMP for each in source.time_fields)
            assert {column.option for column in source.columns} - {None} <= set(source.option_names)


def test_endpoint_when_compared_with_the_sandboxs_contract_then_path_limit_scopes_and_pages_agree() -> None:
    for name, revision in SERVED:
        with case(name, revision):
            source = SOURCES[name]
            found = route("GET", source.path.format(id="x").removeprefix("/api/").split("/"))
            assert found is not None
            agreed = contract(found[0].operation, revision)
            assert agreed is not None
            tier = source.tier_for(revision, frozenset())
            asked = ((f"additional-fields[{source.resource}]", each) for each in source.added_fields)
            lowered = [agreed.lowered[each] for each in asked if each in agreed.lowered]
            assert (tier.burst, tier.steady) == min([agreed.limit, *lowered])
            assert bool(lowered) == bool(source.limit_of), "a lower limit does not count requests without that field"
            read = parent_of(source) if source.child else source
            others = SOURCES[read.per_parent.parent].scopes if read.per_parent else ()
            assert set(source.scopes) == {*agreed.scopes, *others}
            size = since(source.page_size, revision)
            if agreed.page is None or not agreed.page.settable:
                assert size is None or source.fan_out is not None
            else:
                assert size == agreed.page.maximum
            for time_field in source.time_fields:
                assert time_field.operators <= set(agreed.filters[time_field.in_filters].operators)
                assert time_field.in_filters in agreed.sorts
            includes = {include.name for include in source.includes if include.since <= revision}
            assert includes <= set(agreed.includes)


def test_report_when_compared_with_the_sandboxs_contract_then_limits_and_scopes_agree() -> None:
    for name, revision in product((each for each in EVERY if SOURCES[each].report is not None), LIVING):
        with case(name, revision):
            source = SOURCES[name]
            assert source.report is not None
            found = route("POST", source.path.removeprefix("/api/").split("/"))
            assert found is not None
            agreed = contract(found[0].operation, revision)
            assert agreed is not None
            assert tuple(quota for _length_s, quota in source.tier_for(revision, frozenset()).windows) == agreed.limit
            assert set(agreed.scopes) <= set(source.scopes)
            assert source.report.quota is None or agreed.limit[2] == source.report.quota.a_day
            statistics = source.report.statistics_in(revision)
            assert set(statistics) <= {column.name for column in source.columns if column.path}
            assert set(source.report.grain) <= {column.name for column in source.columns}
            assert source.report.of in SOURCES


def test_options_when_left_open_then_are_the_defaults_and_a_choice_overrides_them() -> None:
    for name in EVERY:
        with case(name):
            source = SOURCES[name]
            assert source.choose() == {option.name for option in source.options if option.default}
            for option in source.option_names:
                assert option in source.choose(**{option: True})
                assert option not in source.choose(**{option: False})
                assert source.choose(**{option: None}) == source.choose()
            with pytest.raises(ConfigurationError, match=rf"{name} does not take the option nonsense; it takes"):
                source.choose(nonsense=True)
            assert source.choose(nonsense=None) == source.choose()


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("event", "did you mean events or event_metrics or event_profiles?"),
        ("campaing_tags", "did you mean campaign_tags?"),
        ("predictions", "did you mean profile_predictions?"),
        ("nonsense", "klaviyo-pipeline sources lists all of them."),
        ("x", "klaviyo-pipeline sources lists all of them."),
    ],
)
def test_source_when_unknown_then_message_names_only_those_that_are_like_it(word: str, hint: str) -> None:
    assert source_named("events") is SOURCES["events"]
    for ask in (source_named, choose):
        with pytest.raises(ConfigurationError) as refused:
            ask(word)
        assert str(refused.value) == f"there is no data source {word!r}; {hint}"


def test_filter_by_when_a_source_lacks_it_then_message_names_what_it_takes() -> None:
    with pytest.raises(ConfigurationError, match=r"filter_by is 'updated', but events takes created\."):
        SOURCES["events"].time_field(FilterBy.UPDATED)


@pytest.mark.parametrize(
    ("revision", "value"), [("2022-10-17", 1), ("2024-01-01", 1), ("2025-01-01", 2), ("2026-12-31", 3)]
)
def test_since_when_a_value_changed_then_is_the_one_in_force(revision: str, value: int) -> None:
    assert since((("", 1), ("2025-01-01", 2), ("2026-01-01", 3)), revision) == value


def test_column_when_it_moved_then_has_another_path_from_that_revision_on() -> None:
    column = Column("a", ColumnType.STRING, ("attributes", "a"), "A.", moved=(("2026-10-15", None),))
    assert column.path_in("2026-07-15") == ("attributes", "a")
    assert column.path_in("2026-10-15") is None


@pytest.mark.parametrize("revision", [revision.name for revision in REVISIONS])
def test_page_size_of_events_when_revision_does_not_have_the_parameter_then_is_not_sent(revision: str) -> None:
    source = SOURCES["events"]
    size = PageSizes().get("account", source, revision)
    (stream,) = streams_of(source, revision, None)
    target = first_request(source, stream, TimeSlice(None, None), frozenset(), revision, size).target
    assert ("page%5Bsize%5D=1000" in target) == (revision >= "2026-01-15")


def test_page_sizes_when_refused_then_fall_to_200_then_to_none_for_that_account_and_revision_only() -> None:
    sizes, events = PageSizes(), SOURCES["events"]
    sizes.refused("a", events, "2026-07-15", 1000)
    assert sizes.get("a", events, "2026-07-15") == 200
    sizes.refused("a", events, "2026-07-15", 1000)
    assert sizes.get("a", events, "2026-07-15") == 200, "the same refusal, heard by another slice"
    sizes.refused("a", events, "2026-07-15", 200)
    assert sizes.get("a", events, "2026-07-15") is None
    sizes.refused("a", events, "2026-07-15", 1000)
    assert sizes.get("a", events, "2026-07-15") is None, "a late refusal of the first size raises nothing again"
    assert sizes.get("b", events, "2026-07-15") == 1000
    assert sizes.get("a", events, "2026-10-15") == 1000
    assert sizes.get("a", SOURCES["profiles"], "2026-07-15") == 100


def test_limit_when_predictive_analytics_is_asked_for_then_is_another_and_lower_one() -> None:
    source = SOURCES["profiles"]
    (stream,) = streams_of(source, "2026-07-15", None)
    plain, slow = (
        first_request(source, stream, TimeSlice(None, None), options, "2026-07-15", 100)
        for options in (frozenset[str](), frozenset({"predictive_analytics"}))
    )
    assert plain.endpoint != slow.endpoint
    assert (slow.tier.burst, slow.tier.steady) == (10, 150)
    assert "additional-fields%5Bprofile%5D=predictive_analytics" in slow.target
    assert "additional-fields" not in plain.target


def test_predictions_when_read_in_a_pass_of_their_own_then_never_count_against_the_limit_of_profiles() -> None:
    def request(name: str, *options: str) -> Request:
        source = SOURCES[name]
        (stream,) = streams_of(source, "2026-07-15", source.time_field())
        return first_request(source, stream, TimeSlice(None, None), frozenset(options), "2026-07-15", 100)

    plain, alone, along = (
        request("profiles"),
        request("profile_predictions"),
        request("profiles", "predictive_analytics"),
    )
    assert (
        "fields%5Bprofile%5D=created%2Cupdated%2Cpredictive_analytics&additional-fields%5Bprofile%5D=" in alone.target
    )
    assert "sort=updated" in alone.target
    assert (plain.tier, alone.tier) == (LARGE, MEDIUM)
    limits = RateLimits(1.0)
    assert limits.of(alone.endpoint, alone.tier) is limits.of(along.endpoint, along.tier)
    assert limits.of(alone.endpoint, alone.tier) is not limits.of(plain.endpoint, plain.tier)


def test_stream_of_a_parent_when_its_id_is_odd_then_stays_one_path_segment() -> None:
    (stream,) = streams_of_parents(SOURCES["list_profiles"], ["a/b?c"], None, single=False, may_vanish=True)
    assert stream.path == "/api/lists/a%2Fb%3Fc/profiles"
    assert stream.constants == {"list_id": "a/b?c"}


def test_streams_when_a_source_has_several_collections_then_each_says_where_its_rows_are_from() -> None:
    streams = streams_of(SOURCES["catalog_jobs"], "2026-07-15", None)
    assert len({stream.key for stream in streams}) == len({stream.path for stream in streams}) == 9
    assert {stream.path: stream.constants["kind"] for stream in streams}["/api/catalog-variant-bulk-update-jobs"] == (
        "variant-update"
    )


def test_request_when_a_source_has_a_sparse_fieldset_then_asks_for_nothing_else() -> None:
    source = SOURCES["segment_profiles"]
    (stream,) = streams_of_parents(source, ["S"], None, single=False, may_vanish=True)
    target = first_request(source, stream, TimeSlice(None, None), frozenset(), "2026-07-15", 100).target
    assert target == "/api/segments/S/profiles?fields%5Bprofile%5D=joined_group_at&page%5Bsize%5D=100"


@pytest.mark.parametrize(("revision", "asked"), [("2026-01-15", False), ("2026-04-15", True)])
def test_option_when_the_revision_does_not_know_its_fields_then_they_are_not_asked_for(
    revision: str, asked: bool
) -> None:
    source = SOURCES["templates"]
    (stream,) = streams_of(source, revision, None)
    target = first_request(source, stream, TimeSlice(None, None), frozenset({"definition"}), revision, None).target
    assert ("additional-fields%5Btemplate%5D=definition" in target) == asked


@pytest.mark.parametrize("name", [name for name, source in SOURCES.items() if source.fan_out])
def test_parents_when_some_have_no_children_then_columns_say_which(name: str) -> None:
    fan_out = SOURCES[name].fan_out
    assert fan_out is not None
    columns = {column.name for column in SOURCES[fan_out.parent].columns}
    assert {column for column, _values in fan_out.childless} <= columns
    assert fan_out.can_have_children(dict.fromkeys(columns))
