"""Detects a slice that never ends.

Klaviyo filters after it pages, so several pages without rows may come before one with rows. So a page without rows is
not the end, but very many in a row are a fault. The same applies to pages whose rows were all read before.
"""

from __future__ import annotations

from datetime import datetime

from klaviyo_pipeline.klaviyo.client.answers import shown
from klaviyo_pipeline.klaviyo.decode.pages import Page
from klaviyo_pipeline.klaviyo.errors import UnreadablePageError

MOST_PAGES_AT_ONE_TIME = 100_000
"""So many pages may follow each other without a later time: a bulk import can date millions of rows alike."""
_MOST_REMEMBERED = 500_000
"""Hashes of ids, and of targets, that are remembered at most; some 30 MB."""


class Paging:
    """Follows the pages of one slice.

    Args:
        subject: What is read, for the error message.
        most_without_rows: The slice fails after this many pages in a row without a new row.
        target: Where the slice begins.
    """

    def __init__(self, subject: str, most_without_rows: int, target: str) -> None:
        self._subject = shown(subject)
        self._most = most_without_rows
        self._without_rows = 0
        self._at_one_time = 0
        self._latest: datetime | None = None
        self._ids: set[int] = set()
        self.restart(target)

    def restart(self, target: str) -> None:
        """Begin again at another target; pages without a new row are still counted."""
        self._targets = {hash(target)}

    def follow(self, page: Page) -> None:
        """Take note of a page.

        Raises:
            UnreadablePageError: if its next link leads to a page already read, or nothing new has come for long.
        """
        if page.next_target is None:
            return
        target = hash(page.next_target)
        if target in self._targets:
            raise UnreadablePageError(f"{self._subject}: a next link leads back to a page already read.")
        if len(self._targets) >= _MOST_REMEMBERED:
            self._targets.clear()
        self._targets.add(target)
        self._without_rows = 0 if self._is_new(page) else self._without_rows + 1
        if self._without_rows >= self._most:
            raise UnreadablePageError(
                f"{self._subject}: {self._without_rows} pages in a row brought no new row, and each names a next one. "
                "If the server is Klaviyo, raise max_pages_without_rows."
            )
        if self._at_one_time >= MOST_PAGES_AT_ONE_TIME:
            raise UnreadablePageError(f"{self._subject}: {self._at_one_time} pages in a row lead to no later time.")

    def _is_new(self, page: Page) -> bool:
        """Whether a page has a row not seen before. A later time shows that without a look at the ids."""
        if page.rows == 0:
            return False
        if page.last_time is not None and (self._latest is None or page.last_time > self._latest):
            self._latest = page.last_time
            self._at_one_time = 0
            self._ids.clear()
            return True
        self._at_one_time += 1
        ids = set(map(hash, page.ids))
        is_new = not ids <= self._ids
        if len(self._ids) >= _MOST_REMEMBERED:
            self._ids.clear()
        self._ids |= ids
        return is_new
