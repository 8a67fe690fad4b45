"""Identifiers that sort by time: 48 bits of milliseconds, 80 random bits, 26 characters of Crockford's base 32."""

_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"
_RANDOM_BYTES = 10
LENGTH = 26


def new_id(now: float, entropy: bytes) -> str:
    """Make an identifier from wall seconds and at least ten random bytes."""
    number = (int(now * 1000) << 80) | int.from_bytes(entropy[:_RANDOM_BYTES], "big")
    digits = []
    for _ in range(LENGTH):
        digits.append(_DIGITS[number & 31])
        number >>= 5
    return "".join(reversed(digits))
