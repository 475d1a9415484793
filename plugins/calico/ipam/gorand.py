"""Go's generator of pseudo-random numbers, math/rand: from one seed, the numbers that a Go program draws.

It is an additive lagged Fibonacci generator: each number is the sum, modulo 2^64, of the 607th and the
273rd before it. A seed fills the 607 words of its state by a small generator, and Go then mixes in the state
that the Fibonacci generator itself has after 7.8e12 numbers. Go ships those words as a table; here they are
computed, as a power of x modulo the generator's polynomial x^607 = x^334 + 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import islice

_LENGTH, _TAP = 607, 273
_MODULUS = (1 << 31) - 1
_ZERO_SEED = 89482311
_WARM_UP = 20
_MIXED_IN_AFTER = 7_800_000_000_000
_WORD = (1 << 64) - 1
_POSITIVE = _WORD >> 1
_BITS = 144
"""Room for a coefficient of a product: 607 products of two words."""


class GoRand:
    """Go's generator `rand.New(rand.NewSource(seed))`."""

    def __init__(self, seed: int) -> None:
        words = islice(_seeded(seed % _MODULUS or _ZERO_SEED, 40, 20), _LENGTH)
        self._state = [word ^ mixed for word, mixed in zip(words, _mixed_in(), strict=True)]
        self._tap, self._feed = 0, _LENGTH - _TAP

    def uint64(self) -> int:
        self._tap = (self._tap - 1) % _LENGTH
        self._feed = (self._feed - 1) % _LENGTH
        number = (self._state[self._feed] + self._state[self._tap]) & _WORD
        self._state[self._feed] = number
        return number

    def uint32(self) -> int:
        return (self.uint64() & _POSITIVE) >> 31

    def below(self, limit: int) -> int:
        """A number from 0 to `limit` - 1, as big.Int's Rand draws it on a machine of 64 bits; 0 below 1."""
        if limit < 1:
            return 0
        words = range(0, limit.bit_length(), 64)
        mask = (1 << limit.bit_length()) - 1
        while True:
            number = sum((self.uint32() | self.uint32() << 32) << shift for shift in words) & mask
            if number < limit:
                return number


def _seeded(seed: int, high: int, middle: int) -> Iterator[int]:
    """Words of three draws each of x[n+1] = 48271 x[n] mod 2^31 - 1, shifted so far and combined."""
    draws = _draws(seed)
    for _ in range(_WARM_UP):
        next(draws)
    while True:
        yield (next(draws) << high ^ next(draws) << middle ^ next(draws)) & _WORD


def _draws(seed: int) -> Iterator[int]:
    while True:
        seed = seed * 48271 % _MODULUS
        yield seed


@cache
def _mixed_in() -> tuple[int, ...]:
    """The state of the generator with seed 1 after so many numbers; 50 ms, once a process.

    The n-th number stands at place 333 - n modulo 607, over the one of 607 before. `first` are those before
    the start and the next 606; a later one is a sum over `first` with the coefficients of a power of x.
    """
    first = [0] * _LENGTH
    for place, word in enumerate(islice(_seeded(1, 20, 10), _LENGTH)):
        first[(_LENGTH - _TAP - 1 - place) % _LENGTH] = word
    for n in range(_LENGTH, 2 * _LENGTH - 1):
        first.append((first[n - _LENGTH] + first[n - _TAP]) & _WORD)
    reversed_power = list(reversed(_unpacked(_power_of_x(_MIXED_IN_AFTER), _LENGTH)))
    sums = _unpacked(_packed(reversed_power) * _packed(first), 2 * _LENGTH - 1)[_LENGTH - 1 :]
    last = _MIXED_IN_AFTER - _LENGTH
    return tuple(sums[(_LENGTH - _TAP - 1 - place - last) % _LENGTH] for place in range(_LENGTH))


def _power_of_x(exponent: int) -> int:
    """x^exponent as a packed polynomial of 607 words."""
    power = 1
    for bit in f"{exponent:b}":
        power = _reduced(power * power)
        if bit == "1":
            power = _reduced(power << _BITS)
    return power


def _reduced(polynomial: int) -> int:
    words = _packed([_WORD] * (2 * _LENGTH))
    size = _BITS * _LENGTH
    polynomial &= words
    while high := polynomial >> size:
        polynomial = (polynomial & ((1 << size) - 1)) + high + (high << _BITS * (_LENGTH - _TAP))
    return polynomial & words


def _packed(words: list[int]) -> int:
    """Coefficients as one number, so that one multiplication multiplies polynomials."""
    return int.from_bytes(b"".join(word.to_bytes(_BITS // 8, "little") for word in words), "little")


def _unpacked(polynomial: int, count: int) -> list[int]:
    step = _BITS // 8
    data = polynomial.to_bytes(max(count * step, polynomial.bit_length() // 8 + 1), "little")
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, count * step, step)]
