"""One spelling for all spellings of an identifier, and finding a person in text."""

from __future__ import annotations

import pytest

from klaviyo_pipeline.people import ERASED, Kind, Person, email, keyed_hash, mailbox, phone

ANNA = Person(
    frozenset({"01GDDKASAP8TKDDA2GRZDSVP4H"}),
    frozenset({"Ánna+shop@Exämple.com"}),
    frozenset({"+49 170 1234567"}),
    frozenset({"1001", "customer-77"}),
)


@pytest.mark.parametrize(
    "written",
    [
        "anna@example.com",
        " Anna@Example.COM. ",
        "mailto:anna@example.com",
        "ANNA\uff20example.com",
        "an\u200bna@example.com",
    ],
)
def test_address_however_it_is_written_has_one_spelling(written: str) -> None:
    assert email(written) == "anna@example.com"


def test_address_with_a_plus_is_another_one_of_the_same_mailbox() -> None:
    assert email("anna+shop@example.com") != email("anna@example.com")
    assert mailbox("Anna+Shop@example.com") == mailbox("anna@example.com")
    assert mailbox("+@example.com") == "+@example.com"


def test_host_in_punycode_and_decomposed_letters_are_the_same_as_the_letters() -> None:
    assert email("a\u0301nna@xn--exmple-cua.com") == email("ánna@exämple.com")


@pytest.mark.parametrize(
    "written",
    ["+49 170 1234567", "0049 170/1234567", "+49 (0)170 123-45-67", "(+49) 170 1234567", "+４９１７０１２３４５６７"],
)
def test_number_however_it_is_written_has_one_spelling(written: str) -> None:
    assert phone(written) == "+491701234567"


@pytest.mark.parametrize(
    ("number", "here", "elsewhere"),
    [
        ("+491701234567", "0170 1234567", "+11701234567"),
        ("+14155552671", "(415) 555-2671", "+494155552671"),
        ("+353861234567", "086 123 4567", "+49861234567"),
    ],
)
def test_number_is_that_of_its_country_and_no_other_countrys(number: str, here: str, elsewhere: str) -> None:
    person = Person(phones=frozenset({number})).known()
    assert person.has(Kind.PHONE, here)
    assert not person.has(Kind.PHONE, elsewhere)
    of_here = Person(phones=frozenset({here})).known()
    assert of_here.has(Kind.PHONE, number)
    assert of_here.has(Kind.PHONE, elsewhere), "nothing says of which country it is"


@pytest.mark.parametrize(
    "text",
    [
        *("a\u0301NNA@exa\u0308mple.com", "ánna+x@xn--exmple-cua.com", "see mailto:%C3%A1nna%40ex%C3%A4mple.com?x=1"),
        *("call 0170/123 45 67 now", "0049 (0)170-1234567", "tel 170 1234567 2026", "491701234567", "(0170) 1234567"),
        *("https://x.example/?_kx=01gddkasap8tkdda2grzdsvp4h.abc", "01GDDKASAP8TKDDA2GRZDSVP4H", "customer-77"),
    ],
)
def test_person_is_found_in_text(text: str) -> None:
    assert ANNA.known().is_mentioned_in(text)


@pytest.mark.parametrize(
    "text",
    [
        "bob@example.com",
        "nánna@exämple.com",
        "0171 1234567",
        "1001",
        "20170 12345678",
        "01GDDKASAP8TKDDA2GRZDSVP4X",
        "",
        "@",
    ],
)
def test_others_are_not(text: str) -> None:
    assert not ANNA.known().is_mentioned_in(text)


def test_short_id_counts_under_a_name_that_says_whose_it_is() -> None:
    found = ANNA.known().without({"customer_id": 1001, "order": 1001, "list": [{"External ID": "1001"}], "n": 1.5})
    assert found == {"customer_id": ERASED, "order": 1001, "list": [{"External ID": ERASED}], "n": 1.5}


def test_person_is_found_by_the_hashes_that_rules_made() -> None:
    secret = b"a secret of the test"
    assert ANNA.known(secret).is_mentioned_in(f"seen {keyed_hash(secret, email('ánna@exämple.com'))}")
    assert not ANNA.known().is_mentioned_in(keyed_hash(secret, email("ánna@exämple.com")))


def test_digests_are_looked_up_in_place_of_tokens() -> None:
    from klaviyo_pipeline.people import People

    def digest(token: str) -> str:
        return keyed_hash(b"another secret", token)

    known = People(frozenset(map(digest, ANNA.tokens)), digest)
    assert known.has(Kind.EMAIL, "ánna+other@exämple.com")
    assert known.is_mentioned_in("call 0170 1234567")
    assert not known.is_mentioned_in("bob@example.com")
