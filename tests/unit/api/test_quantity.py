from decimal import Decimal

import pytest

from fabric.api.quantity import parse_quantity


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("250m", "0.25"),
        ("1", "1"),
        ("1.5Gi", "1610612736"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("2E", "2000000000000000000"),
        ("1E3", "1000"),
        ("128974848", "128974848"),
        ("100Ki", "102400"),
        ("-1k", "-1000"),
        ("1n", "1e-9"),
    ],
)
def test_a_quantity_is_an_exact_decimal(text, amount):
    assert parse_quantity(text) == Decimal(amount)


def test_numbers_are_taken_as_they_print():
    assert parse_quantity(2) == 2
    assert parse_quantity(0.1) == Decimal("0.1")


@pytest.mark.parametrize("text", ["", "one", "1 Gi", "1Qi", "1.2.3", "--1", "1mm", "0x10", "NaN"])
def test_what_is_no_quantity_is_a_value_error(text):
    with pytest.raises(ValueError, match=r"quantity|suffix"):
        parse_quantity(text)


def test_a_quantity_of_a_megabyte_is_none():
    assert parse_quantity("9" * 256 + "." + "9" * 256) > 10**255
    for text in ("9" * 257, "0." + "9" * 257, "1" * 1_000_000):
        with pytest.raises(ValueError, match="is not a quantity"):
            parse_quantity(text)
