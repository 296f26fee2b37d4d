"""Times in SQL mean the same on both databases."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import literal, select

from harken.database import Database
from harken.models.types import UtcDateTime, utc_micros

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    "micros", [0, 1, 999_499, 999_500, 999_999, 1_000_000, 1_772_366_399_999_600, -1, -999_600]
)
async def test_a_time_in_microseconds_is_exact(session_factory, micros):
    at = EPOCH + timedelta(microseconds=micros)
    async with Database(session_factory).reading() as connection:
        found = await connection.execute(select(utc_micros(literal(at, UtcDateTime))))
        assert found.scalar_one() == micros
