"""What the errors of an answer say to a person."""

from typing import Any

import msgspec
import pytest

from klaviyo_pipeline.klaviyo.decode import envelope
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        ([{"detail": "d", "title": "t", "code": "c"}], "d"),
        ([{"title": "t", "code": "c"}], "t"),
        ([{"code": "c"}], "c"),
        ([{"id": "1"}], '{"id": "1"}'),
        (["text"], '"text"'),
        ({"detail": "not in a list"}, '{"detail": "not in a list"}'),
        ([{"code": str(each)} for each in range(3)], "0; 1; 2"),
        ([{"code": str(each)} for each in range(5)], "0; 1; 2 (and 2 more)"),
    ],
)
def test_errors_of_an_answer_are_told_by_their_detail_title_or_code_and_the_rest_is_counted(
    errors: Any, said: str
) -> None:
    assert envelope.details(errors) == said
    with pytest.raises(UnreadablePageError, match="the answer has errors") as refused:
        envelope.refuse_errors(msgspec.json.encode(errors))
    assert str(refused.value).endswith(said)


@pytest.mark.parametrize("errors", [b"null", b"[]"])
def test_answer_without_errors_is_not_refused(errors: bytes) -> None:
    envelope.refuse_errors(errors)
