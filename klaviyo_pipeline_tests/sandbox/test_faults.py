"""Each kind of fault, and the plan that decides whom it hits."""

import itertools
import json
from collections import Counter
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from click.testing import CliRunner

from klaviyo_pipeline.sandbox.admin import truth
from klaviyo_pipeline.sandbox.app import Sandbox
from klaviyo_pipeline.sandbox.command import sandbox as sandbox_command
from klaviyo_pipeline.sandbox.faults.kinds import KINDS
from klaviyo_pipeline.sandbox.faults.plan import Fault, FaultPlan
from klaviyo_pipeline.sandbox.server import sandbox_process
from klaviyo_pipeline_tests.sandbox.client import Answer, Client, headers

STATUSES = ("429", "500", "502", "503", "504", "520", "521", "522", "523", "524")
PROFILES = "/api/profiles?page[size]=20"
Fresh = Callable[..., Sandbox]


def faulty(fresh: Fresh, *rules: Fault | str, seed: int = 1) -> Client:
    plan = FaultPlan(seed, [Fault.parse(rule) if isinstance(rule, str) else rule for rule in rules])
    return Client(fresh(faults=plan))


def injected(client: Client) -> Any:
    return client.get("/sandbox/faults").json["injected"]


def hits(client: Client, path: str, requests_: int = 60) -> list[int]:
    return [client.get(path).status for _ in range(requests_)]


def test_plan_hits_the_same_requests_of_an_operation_whatever_comes_between(fresh: Fresh) -> None:
    rule = Fault("503", probability=0.3)
    alone = hits(faulty(fresh, rule, seed=5), "/api/metrics")
    among = faulty(fresh, rule, seed=5)
    mixed = []
    for _ in range(60):
        among.get("/api/lists")
        mixed.append(among.get("/api/metrics").status)
        among.get("/api/templates")
    assert alone == mixed
    assert 5 < alone.count(503) < 40
    assert alone != hits(faulty(fresh, rule, seed=6), "/api/metrics")


def test_every_limit_and_burst_say_exactly_which_requests_are_hit(fresh: Fresh) -> None:
    assert hits(faulty(fresh, Fault("500", every=3)), "/api/lists", 7) == [200, 200, 500, 200, 200, 500, 200]
    assert hits(faulty(fresh, Fault("500", limit=2)), "/api/lists", 4) == [500, 500, 200, 200]
    storm = Fault("429", every=4, burst=3)
    assert hits(faulty(fresh, storm), "/api/lists", 9) == [200, 200, 200, 429, 429, 429, 200, 429, 429]


def test_rule_hits_its_operation_only_and_the_first_answer_wins(fresh: Fresh) -> None:
    client = faulty(fresh, "500:get_lists", "503")
    assert client.get("/api/lists").status == 500
    assert client.get("/api/metrics").status == 503
    assert injected(client) == {"500": {"get_lists": 1}, "503": {"get_metrics": 1}}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("429", Fault("429")),
        ("reset=0.25", Fault("reset", probability=0.25)),
        ("503:get_events", Fault("503", "get_events")),
        ("503:get_events=0.5", Fault("503", "get_events", 0.5)),
        ("drop-day:2026-11-18", Fault("drop-day", argument="2026-11-18")),
    ],
)
def test_rule_is_read_from_a_text(text: str, expected: Fault) -> None:
    assert Fault.parse(text) == expected


@pytest.mark.parametrize("text", ["418", "503:get_nothing", "503=2", "503=often", "drop-day", "drop-day:monday", ""])
def test_rule_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        Fault.parse(text)


def test_rule_with_a_probability_and_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="give one"):
        Fault("503", probability=0.5, every=2)
    with pytest.raises(ValueError, match="1 or more"):
        Fault("503", every=0)


def test_admin_changes_the_plan_and_counts_what_was_injected(fresh: Fresh) -> None:
    client = Client(fresh())
    assert client.get("/sandbox/faults").json == {"seed": None, "rules": [], "injected": {}, "total": 0}
    answer = client.send(
        "POST", "/sandbox/faults", {"seed": 9, "rules": ["503:get_lists", {"kind": "500", "every": 2}]}
    )
    assert answer.status == 200
    assert [client.get("/api/lists").status, client.get("/api/metrics").status] == [503, 200]
    assert client.get("/api/metrics").status == 500
    report = client.get("/sandbox/faults").json
    assert (report["seed"], report["total"]) == (9, 2)
    assert report["injected"] == {"500": {"get_metrics": 1}, "503": {"get_lists": 1}}
    assert client.send("POST", "/sandbox/faults", {"rules": []}).status == 200
    assert client.get("/api/lists").status == 200
    assert client.send("POST", "/sandbox/faults", {"rules": ["nonsense"]}).status == 400
    assert client.send("POST", "/sandbox/faults", {"rules": [{"colour": 1}]}).status == 400


def test_command_takes_faults_and_refuses_nonsense() -> None:
    arguments = ("--events", "50", "--profiles", "20", "--until", "2026-11-01", "--fault", "503:get_lists=1")
    with sandbox_process(*arguments, "--fault-seed", "4") as process:
        answer = requests.get(f"{process.url}/api/lists", headers=headers(process.api_key), timeout=10)
        assert answer.status_code == 503
        assert process.admin("GET", "faults")["injected"] == {"503": {"get_lists": 1}}
    refused = CliRunner().invoke(sandbox_command, ["--fault", "418"])
    assert refused.exit_code == 2
    assert "there is no fault '418'" in refused.output


def test_command_names_every_kind() -> None:
    shown = next(each.help for each in sandbox_command.params if each.name == "faults")  # type: ignore[attr-defined]
    for kind in KINDS:
        covered = kind in shown or kind in {"503", "521", "522", "523", "echo-key"}
        assert covered, f"--help does not name {kind}"


@pytest.mark.parametrize("kind", STATUSES)
def test_status_is_answered_with_an_error_or_a_gateway_page(fresh: Fresh, kind: str) -> None:
    answers = [faulty(fresh, kind, seed=seed).get("/api/metrics") for seed in range(6)]
    assert {answer.status for answer in answers} == {int(kind)}
    kinds = {"json" if answer.content.startswith(b"{") else "html" for answer in answers}
    assert kinds == ({"json"} if kind == "429" else {"json", "html"} if kind in ("500", "503") else {"html"})
    if kind == "429":
        assert answers[0].headers["retry-after"] == "1"


def test_skewed_clock_refuses_until_a_date_of_its_own(fresh: Fresh) -> None:
    answer = faulty(fresh, Fault("clock-skew", argument="3600")).get("/api/metrics")
    told, until = (parsedate_to_datetime(answer.headers[name]) for name in ("date", "retry-after"))
    assert answer.status == 429
    assert (until - told).total_seconds() == 1
    honest = parsedate_to_datetime(Client(fresh()).get("/api/metrics").headers["date"])
    assert 3500 < (told - honest).total_seconds() < 3700


def test_skewed_date_comes_with_the_right_answer(fresh: Fresh) -> None:
    honest = Client(fresh()).get("/api/metrics")
    answer = faulty(fresh, Fault("skewed-date", argument="-3600")).get("/api/metrics")
    assert answer.content == honest.content
    dates = [parsedate_to_datetime(each.headers["date"]) for each in (answer, honest)]
    assert (dates[1] - dates[0]).total_seconds() > 3500


@pytest.mark.parametrize(("kind", "status"), [("html-200", 200), ("html-403", 403)])
def test_web_page_comes_instead_of_json(fresh: Fresh, kind: str, status: int) -> None:
    answer = faulty(fresh, kind).get("/api/metrics")
    assert (answer.status, answer.headers["content-type"]) == (status, "text/html; charset=UTF-8")
    assert answer.content.startswith(b"<!DOCTYPE html>")


def test_cursor_is_refused_but_no_first_page(fresh: Fresh) -> None:
    client = faulty(fresh, Fault("bad-cursor", limit=1))
    first = client.get(PROFILES)
    refused = client.get(first.json["links"]["next"])
    assert (first.status, refused.status) == (200, 400)
    assert "cursor" in refused.error["detail"].lower()
    assert client.get(first.json["links"]["next"]).status == 200


def test_key_is_repeated_in_a_refusal(fresh: Fresh) -> None:
    answer = faulty(fresh, "echo-key").get("/api/metrics")
    assert answer.status == 400
    assert "pk_sandbox" in answer.error["detail"]


@pytest.mark.parametrize(
    ("path", "collection"),
    [
        (PROFILES, "profiles"),
        (PROFILES + "&sort=-updated", "profiles"),
        ("/api/events?page[size]=300&sort=datetime", "events"),
        ("/api/events?page[size]=300", "events"),
        ("/api/templates", "templates"),
    ],
)
def test_empty_pages_lead_on_and_lose_nothing(fresh: Fresh, path: str, collection: str) -> None:
    client = faulty(fresh, "empty-pages")
    pages = list(client.pages(path))
    ids = [row for page in pages for row in page.ids]
    assert [bool(page.ids) for page in pages[:4]] == [False, True, False, True]
    assert sorted(ids) == sorted(row["id"] for row in truth(client.app.store, collection))
    urls = [page.json["links"]["self"] for page in pages]
    assert len(set(urls)) == len(urls), "an empty page links to another address than its own"


def test_short_and_huge_pages_have_other_sizes_than_asked_for(fresh: Fresh) -> None:
    everybody = sorted(fresh().store.profiles.rows)
    short = list(faulty(fresh, Fault("short-pages", argument="7")).pages(PROFILES))
    assert {len(page.ids) for page in short[:-1]} == {7}
    assert [row for page in short for row in page.ids] == everybody
    assert faulty(fresh, "huge-pages").get(PROFILES).ids == everybody
    assert len(faulty(fresh, Fault("huge-pages", argument="150")).get(PROFILES).ids) == 150
    assert len(faulty(fresh, "short-pages").get("/api/metrics").ids) == 2, "where no page size can be asked for too"


@pytest.mark.parametrize("path", [PROFILES, "/api/events?page[size]=300&sort=-datetime", "/api/lists"])
def test_duplicates_begin_a_page_with_the_last_row_of_the_one_before(fresh: Fresh, path: str) -> None:
    pages = list(faulty(fresh, "duplicates").pages(path))
    assert len(pages) > 1
    for page, following in itertools.pairwise(pages):
        assert page.json["data"][-1] == following.json["data"][0]
    ids = [row for page in pages for row in page.ids]
    assert list(dict.fromkeys(ids)) == Client(fresh()).all_ids(path)


def test_duplicates_come_to_an_end_on_pages_of_one_row(fresh: Fresh) -> None:
    client = faulty(fresh, "duplicates")
    assert len(client.all_ids("/api/lists?page[size]=1")) == len(client.app.store.lists)


def test_dropped_day_is_missing_from_events_but_not_from_aggregates_and_truth(fresh: Fresh) -> None:
    client, honest = faulty(fresh, "drop-day:2026-11-18"), Client(fresh())
    day = truth(client.app.store, "events", "2026-11-18", "2026-11-19")
    gone = {row["id"] for row in day}
    all_events = "/api/events?page[size]=1000"
    assert gone
    assert set(honest.all_ids(all_events)) - set(client.all_ids(all_events)) == gone
    metric_id = Counter(row["metric_id"] for row in day).most_common(1)[0][0]
    of_metric = f"{all_events}&filter=equals(metric_id,'{metric_id}')"
    assert gone.isdisjoint(client.all_ids(of_metric))
    body = {
        "data": {
            "type": "metric-aggregate",
            "attributes": {
                "metric_id": metric_id,
                "measurements": ["count"],
                "filter": ["greater-or-equal(datetime,2026-11-18)", "less-than(datetime,2026-11-19)"],
            },
        }
    }
    counted = client.send("POST", "/api/metric-aggregates", body).json["data"]["attributes"]["data"][0]
    assert counted["measurements"]["count"] == [sum(row["metric_id"] == metric_id for row in day)]


@pytest.mark.parametrize(
    ("path", "collection"),
    [
        (PROFILES, "profiles"),
        ("/api/events?page[size]=300", "events"),
        ("/api/lists?page[size]=5", "lists"),
        ("/api/templates?page[size]=5", "templates"),
        ("/api/campaigns?page[size]=3&filter=equals(messages.channel,'email')", "campaigns"),
    ],
)
def test_row_changes_between_two_pages(fresh: Fresh, path: str, collection: str) -> None:
    client = faulty(fresh, Fault("row-changes", limit=1))
    before = dict(getattr(client.app.store, collection).rows)
    list(client.pages(path))
    after = getattr(client.app.store, collection).rows
    assert len([row_id for row_id in before if before[row_id] != after[row_id]]) == 1
    assert before.keys() == after.keys()


def test_member_joins_anew_between_two_pages(fresh: Fresh) -> None:
    client = faulty(fresh, Fault("row-changes", limit=1))
    list_id = max(client.app.store.members, key=lambda each: len(client.app.store.members[each]))
    before = dict(client.app.store.members[list_id].joined)
    list(client.pages(f"/api/lists/{list_id}/profiles?page[size]=10"))
    after = client.app.store.members[list_id].joined
    assert len([profile for profile in before if before[profile] != after[profile]]) == 1


def test_list_is_deleted_between_two_pages_of_its_members(fresh: Fresh) -> None:
    client = faulty(fresh, "list-deleted")
    list_id = max(client.app.store.members, key=lambda each: len(client.app.store.members[each]))
    first = client.get(f"/api/lists/{list_id}/profiles?page[size]=10")
    assert first.status == 200
    assert client.get(first.json["links"]["next"]).status == 404
    assert list_id not in [row["id"] for row in truth(client.app.store, "lists")]


def attributes(answer: Answer) -> list[dict[str, Any]]:
    return [row["attributes"] for row in answer.json["data"]]


def test_unknown_attributes_come_beside_the_known_ones(fresh: Fresh) -> None:
    client = faulty(fresh, "unknown-attributes")
    honest = attributes(Client(fresh()).get(PROFILES))
    found = attributes(client.get(PROFILES))
    known = [{name: row[name] for name in row if not name.startswith("brand_new")} for row in found]
    assert known == honest
    assert sum("brand_new" in row for row in found) == len(client.app.faults.alterations)  # type: ignore[attr-defined]


def test_wrong_types_are_known_beside_the_truth(fresh: Fresh) -> None:
    plan = FaultPlan(3, [Fault("wrong-types")])
    client, honest = Client(fresh(faults=plan)), Client(fresh())
    for path in (
        "/api/profiles?page[size]=100",
        "/api/events?page[size]=200",
        "/api/metrics",
        "/api/lists",
        "/api/templates",
    ):
        sent = {row["id"]: row["attributes"] for row in json.loads(client.get(path).content)["data"]}
        true = {row["id"]: row["attributes"] for row in honest.get(path).json["data"]}
        for change in [each for each in plan.alterations if each.id in sent]:
            of_sent, of_true = sent[change.id], true[change.id]
            for name in change.path:
                of_sent, of_true = of_sent[name], of_true[name]
            assert (of_true, of_sent) == (change.true, change.sent)
            assert change.true != change.sent or type(change.true) is not type(change.sent)
    kinds = {type(change.sent) for change in plan.alterations}
    assert kinds >= {str, int, float, bool}
    assert any(isinstance(change.sent, int) and change.sent > 2**64 for change in plan.alterations)
    assert any(str(change.sent).endswith(".0") and isinstance(change.true, int) for change in plan.alterations)
    assert any(change.path == ("location", "region") for change in plan.alterations)
    assert truth(client.app.store, "profiles") == truth(honest.app.store, "profiles")


def test_keys_differ_only_in_case(fresh: Fresh) -> None:
    found = attributes(faulty(fresh, "case-twins").get(PROFILES))
    twins = [row for row in found if "Email" in row]
    assert twins
    assert all("email" in row and {"Size", "size", "SIZE"} <= row["properties"].keys() for row in twins)


def test_alterations_are_the_same_for_the_same_seed(fresh: Fresh) -> None:
    one, two, other = (faulty(fresh, "wrong-types", seed=seed).get(PROFILES).content for seed in (1, 1, 2))
    assert one == two != other


def test_every_kind_is_one_that_something_happens_by(fresh: Fresh) -> None:
    """No kind is declared that no group carries out."""
    for kind in KINDS:
        argument = "2026-11-18" if kind == "drop-day" else "0.01" if kind == "hang" else None
        client = faulty(fresh, Fault(kind, argument=argument))
        cursor = parse_qs(urlsplit(Client(fresh()).get(PROFILES).json["links"]["next"]).query)["page[cursor]"][0]
        longest = max(client.app.store.members, key=lambda each: len(client.app.store.members[each]))
        for path in (
            f"{PROFILES}&page[cursor]={cursor}",
            "/api/events",
            f"/api/lists/{longest}/profiles?page[size]=1&page[cursor]=WzEsIkEiLHRydWVd",
        ):
            try:
                client.get(path)
            except ConnectionResetError:
                assert kind in {"reset", "hang", "truncated"}
        assert kind in injected(client)
