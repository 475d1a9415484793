"""Ages, word for word as kubectl has them."""

from datetime import UTC, datetime

import pytest

from fabric.apiserver.durations import age, duration

MINUTE, HOUR, DAY = 60, 3600, 86400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (0, "0s"),
        (119.9, "119s"),
        (2 * MINUTE, "2m"),
        (2 * MINUTE + 5, "2m5s"),
        (10 * MINUTE + 5, "10m"),
        (179 * MINUTE, "179m"),
        (3 * HOUR, "3h"),
        (3 * HOUR + 5 * MINUTE, "3h5m"),
        (8 * HOUR + 5 * MINUTE, "8h"),
        (47 * HOUR, "47h"),
        (2 * DAY, "2d"),
        (2 * DAY + 3 * HOUR, "2d3h"),
        (8 * DAY + 3 * HOUR, "8d"),
        (729 * DAY, "729d"),
        (2 * 365 * DAY, "2y"),
        (2 * 365 * DAY + 10 * DAY, "2y10d"),
        (9 * 365 * DAY + 10 * DAY, "9y"),
    ],
)
def test_a_duration_has_two_units_while_the_second_matters(seconds, text):
    assert duration(seconds) == text


def test_an_age_counts_from_a_timestamp():
    now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert age("2026-01-01T00:00:00Z", now) == "5m"
    assert age("2026-01-01T00:04:58.500000Z", now) == "1s"
    assert age(None, now) == "<unknown>"


def test_a_timestamp_that_is_none_has_no_age():
    now = datetime(2026, 1, 1, 0, 5, tzinfo=UTC)
    assert {age(text, now) for text in ("soon", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00")} == {
        "<invalid>"
    }
