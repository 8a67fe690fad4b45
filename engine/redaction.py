"""Take secrets out of text and JSON, and make control characters visible. Pure.

A secret is found as it is and in the forms in which programs show it: as JSON, as Python's repr, percent-encoded, in
base64 (also inside a longer encoded text) and line by line. Called by the runner and by whoever keeps logs.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any

import msgspec

MASK = "***"
# Shorter values are words, digits and ports: masking them would destroy the text and hide nothing.
SHORTEST = 4
# A line of a key file, and a secret inside longer base64 text, give themselves away only from some length on.
_SHORTEST_LINE = 8
_SHORTEST_INNER = 6
# C0 but tab and newline, DEL, C1, line separators, marks that reorder text, halves of surrogate pairs.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_RARE_ESCAPES = re.compile(r"\\[u/\\]")
_BASE64_BITS = 6


def redact(text: str, secrets: Sequence[str]) -> str:
    """Put `***` in the place of every secret, in whichever form it shows; values shorter than four characters stay."""
    forms = _all_forms(secrets)
    # Twice is rare: what the mask brought together may read as another secret. Each turn makes the text shorter.
    while found := [form for form in forms if form in text]:
        text = _cover(text, found)
    return text


def redact_json(data: bytes, secrets: Sequence[str]) -> bytes:
    """Put `***` in the place of every secret in the strings, keys and numbers of a JSON text; it stays valid JSON.

    Raises ValueError if `data` is not JSON.
    """
    forms = _all_forms(secrets)
    if not forms:
        return data
    text = data.decode()
    # Without these escapes a secret shows in the text in one of its forms, or it is not there: no need to decode.
    if not _RARE_ESCAPES.search(text) and not any(form in text for form in forms):
        return data
    value = msgspec.json.decode(data)
    redacted = _redact_value(value, secrets)
    return data if redacted == value else msgspec.json.encode(redacted)


def longest(secrets: Sequence[str]) -> int:
    """Return the characters of the longest form: what reads text in pieces holds back one less than that."""
    return max(map(len, _all_forms(secrets)), default=0)


def escape_controls(text: str) -> str:
    r"""Write control characters, terminal escapes and what reorders text as `\x1b`; newline and tab stay."""
    return _CONTROLS.sub(_visible, text)


def _visible(match: re.Match[str]) -> str:
    number = ord(match[0])
    return f"\\x{number:02x}" if number <= 0xFF else f"\\u{number:04x}"  # noqa: PLR2004 -- one byte


def _redact_value(value: Any, secrets: Sequence[str]) -> Any:
    match value:
        case str():
            return redact(value, secrets)
        case bool() | None:
            return value
        case int() | float():
            written = msgspec.json.encode(value).decode()
            return value if redact(written, secrets) == written else MASK
        case list():
            return [_redact_value(item, secrets) for item in value]
        case _:
            return _redact_keys(value, secrets)


def _redact_keys(value: dict[str, Any], secrets: Sequence[str]) -> dict[str, Any]:
    redacted: dict[str, Any] = {}
    for key, item in value.items():
        name = shown = redact(key, secrets)
        number = 2
        while name in redacted:  # two keys that differ in the secret only: neither entry is lost
            name, number = f"{shown}#{number}", number + 1
        redacted[name] = _redact_value(item, secrets)
    return redacted


def _cover(text: str, forms: Iterable[str]) -> str:
    """Mask every occurrence of these forms; what overlaps or touches becomes one mask, so that no rest stays."""
    spans = sorted(span for form in forms for span in _spans(text, form))
    pieces, position, covered = [], 0, -1
    for start, end in spans:
        if start > covered:
            pieces += [text[position:start], MASK]
        covered = position = max(covered, end)
    return "".join(pieces) + text[position:]


def _spans(text: str, form: str) -> Iterable[tuple[int, int]]:
    start = text.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = text.find(form, start + 1)


def _all_forms(secrets: Sequence[str]) -> tuple[str, ...]:
    return _forms_of(tuple(secrets)) if secrets else ()


@lru_cache(maxsize=32)
def _forms_of(secrets: tuple[str, ...]) -> tuple[str, ...]:
    """List what to look for; kept for the secrets used last, since every attempt of a workflow has the same."""
    found = {form for secret in secrets if len(secret) >= SHORTEST for form in _forms(secret)}
    return tuple(sorted(form for form in found if len(form) >= SHORTEST))


def _forms(secret: str) -> set[str]:
    lines = {line for line in secret.splitlines() if len(line) >= _SHORTEST_LINE}
    raw = secret.encode("utf-8", "surrogatepass")
    forms = {secret, repr(secret)[1:-1], *lines}
    forms |= {json.dumps(secret, ensure_ascii=is_ascii)[1:-1] for is_ascii in (True, False)}
    for spared in ("", "/", "!*'()"):  # everything, Python's quote, a browser's encodeURIComponent
        encoded = _percent(raw, spared)
        forms |= {encoded, encoded.replace("%20", "+"), _lower_hex(encoded), _lower_hex(encoded).replace("%20", "+")}
    return forms | _base64_forms(raw)


def _base64_forms(raw: bytes) -> set[str]:
    """Return its base64, and the characters that stay the same wherever it stands in a longer encoded text."""
    whole = base64.b64encode(raw).decode().rstrip("=")
    forms = {whole}
    if len(raw) >= _SHORTEST_INNER:
        for before in range(3):
            bits_before, bits_in_all = 8 * before, 8 * (before + len(raw))
            text = base64.b64encode(bytes(before) + raw).decode()
            forms.add(text[-(-bits_before // _BASE64_BITS) : bits_in_all // _BASE64_BITS])
    return forms | {form.replace("+", "-").replace("/", "_") for form in forms}


def _percent(raw: bytes, spared: str) -> str:
    plain = set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-~" + spared.encode())
    return "".join(chr(byte) if byte in plain else f"%{byte:02X}" for byte in raw)


def _lower_hex(encoded: str) -> str:
    return re.sub("%[0-9A-F]{2}", lambda match: match[0].lower(), encoded)
