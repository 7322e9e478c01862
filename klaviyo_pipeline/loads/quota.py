"""The requests that a report may still spend of Klaviyo's daily quota, counted in the database."""

from __future__ import annotations

from typing import TYPE_CHECKING

from klaviyo_pipeline import clock
from klaviyo_pipeline.klaviyo.errors import QuotaSpentError
from klaviyo_pipeline.warehouse import quota as bookings

if TYPE_CHECKING:
    from datetime import datetime

    from klaviyo_pipeline.klaviyo.catalogue.reporting import Quota
    from klaviyo_pipeline.warehouse.interface import Warehouse


class DailyBudget:
    """A daily quota of an account, which all processes that use the database share.

    Args:
        database: Where requests are booked.
        quota: The quota.
        account: Klaviyo's public id of the account.
        data_source: The data source that is read.
        run_id: The run.
    """

    def __init__(self, database: Warehouse, quota: Quota, account: str, data_source: str, run_id: str) -> None:
        self._database = database
        self._quota = quota
        self._booking = bookings.Booking(account, quota.name, data_source, run_id)

    def afford(self, requests: int, reserve: int = 0) -> None:
        """Check that so many requests are left, and the reserve beside them.

        A piece that takes more requests than a day has begins when one is left.

        Raises:
            QuotaSpentError: They are not.
        """
        most = max(1, self._quota.a_day - reserve - max(0, requests - 1))
        times = bookings.booked(self._database, self._booking.account, self._quota.name, clock.now())
        if len(times) >= most:
            raise self._spent(bookings.free_at(times, most))

    def book(self) -> None:
        """Book a request that is about to be sent.

        Raises:
            QuotaSpentError: There is none left.
        """
        free_at = bookings.book(self._database, self._booking, clock.now(), self._quota.a_day)
        if free_at is not None:
            raise self._spent(free_at)

    def _spent(self, free_at: datetime) -> QuotaSpentError:
        return QuotaSpentError(
            f"The {self._quota.a_day} requests for reports that Klaviyo allows in 24 hours are used up.", free_at
        )
