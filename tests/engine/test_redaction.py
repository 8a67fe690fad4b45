import base64
import json
import re
from urllib.parse import quote, quote_plus

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.redaction import MASK, escape_controls, longest, redact, redact_json

TRICKY = "pa55 w/rd+é\n\"x'\\"

# What a secret may be: nothing that hides in the mask or in the words and marks that JSON itself is made of.
secrets = st.lists(st.text(st.characters(codec="utf-8", exclude_characters="*#"), min_size=4, max_size=12), max_size=4)
texts = st.text(st.characters(codec="utf-8"))
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)


def forms(secret: str) -> list[str]:
    """Write a secret as other programs do; an oracle that shares no code with the room under test."""
    raw = secret.encode()
    return [
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        re.sub("%..", lambda match: match[0].lower(), quote(secret, safe="")),
        re.sub("%..", lambda match: match[0].lower(), quote_plus(secret)),
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
    ]


def strings(value):
    """List every string and number of a JSON value as text."""
    match value:
        case dict():
            return [text for key, item in value.items() for text in [key, *strings(item)]]
        case list():
            return [text for item in value for text in strings(item)]
        case bool() | None:
            return []
        case str():
            return [value]
        case _:
            return [msgspec.json.encode(value).decode()]


def plant(value, secret):
    """Put a secret into every string of a JSON value."""
    match value:
        case dict():
            return {key + secret: plant(item, secret) for key, item in value.items()}
        case list():
            return [plant(item, secret) for item in value]
        case str():
            return f"{value}{secret}{value}"
        case _:
            return value


@given(st.text(), secrets, st.data())
def test_no_secret_survives_in_any_form(text, known, data):
    shown = [form for secret in known for form in forms(secret)]
    for form in data.draw(st.lists(st.sampled_from(shown), max_size=4)) if shown else []:
        place = data.draw(st.integers(0, len(text)))
        text = text[:place] + form + text[place:]
    redacted = redact(text, known)
    assert [form for form in shown if len(form) >= 4 and form in redacted] == []


@given(json_values, secrets)
def test_no_secret_survives_in_json_and_it_stays_json(value, known):
    for secret in known:
        value = plant(value, secret)
    redacted = json.loads(redact_json(msgspec.json.encode(value), known))
    assert [text for text in strings(redacted) for secret in known if secret in text] == []


@given(json_values)
def test_json_escaped_by_another_program_is_seen_through(value):
    data = json.dumps(plant([value, "x"], "s3cr\u00e9t/"), ensure_ascii=True).replace("/", "\\/").encode()
    assert all("s3cr\u00e9t/" not in text for text in strings(json.loads(redact_json(data, ["s3cr\u00e9t/"]))))


@given(json_values, secrets)
def test_json_without_a_secret_comes_back_byte_for_byte(value, known):
    data = msgspec.json.encode(value)
    assume(not any(form in text for text in strings(value) for secret in known for form in forms(secret)))
    assume(not any(secret in data.decode() for secret in known))
    assert redact_json(data, known) == data


@given(st.text(), st.lists(st.text(max_size=3)))
def test_short_and_empty_values_do_not_destroy_the_text(text, short):
    assert redact(text, short) == text


@given(st.text(), secrets)
def test_redacting_twice_changes_nothing_more(text, known):
    once = redact(text, known)
    assert redact(once, known) == once


@pytest.mark.parametrize("form", forms(TRICKY))
def test_each_form_becomes_one_mask(form):
    assert redact(f"<{form}>", [TRICKY]) in {f"<{MASK}>", f"<{MASK}=>", f"<{MASK}==>"}


@pytest.mark.parametrize("before", ["", "u", "us", "user:"])
@pytest.mark.parametrize("after", ["", "!", "!!", "\x00\xff?"])
def test_a_secret_inside_longer_base64_is_seen(before, after):
    encoded = base64.b64encode((before + "hunter2hunter2" + after).encode("latin-1")).decode()
    left, _, right = redact(encoded, ["hunter2hunter2"]).partition(MASK)
    assert (encoded.startswith(left), encoded.endswith(right)) == (True, True)
    # What stays is what the neighbours share with the first and the last byte of it.
    assert len(encoded) - len(left) - len(right) >= len("hunter2hunter2") * 8 // 6 - 1


def test_each_line_of_a_key_is_a_secret_of_its_own():
    key = "-----BEGIN KEY-----\nMIIBOgIBAAJBAKj34\nGkxFhD90vcNLYLInFE\n-----END KEY-----\n"
    assert redact("  1: GkxFhD90vcNLYLInFE", [key]) == f"  1: {MASK}"


def test_overlapping_secrets_leave_no_rest():
    assert redact("xabcdefghijkly", ["abcd", "cdefghijkl"]) == f"x{MASK}y"
    assert redact("xabcdefghijkly", ["abcdefghijkl", "bcde"]) == f"x{MASK}y"


def test_what_the_mask_brings_together_is_no_secret_either():
    assert "x***y" not in redact("xabcdy", ["abcd", "x***y"])


def test_a_number_that_is_a_secret_becomes_the_mask():
    assert redact_json(b'{"pin":123456,"rows":7}', ["123456"]) == b'{"pin":"***","rows":7}'


def test_keys_that_differ_only_in_a_secret_both_stay():
    assert json.loads(redact_json(b'{"k-aaaa":1,"k-bbbb":2}', ["aaaa", "bbbb"])) == {"k-***": 1, "k-***#2": 2}


def test_the_words_and_marks_of_json_are_never_masked():
    assert redact_json(b'{"a":true,"b":null}', ["true", "null", '":tr', '{"a"']) == b'{"a":true,"b":null}'


def test_bytes_that_are_not_json_are_refused_only_when_there_is_something_to_hide():
    assert redact_json(b"{", []) == b"{"
    with pytest.raises(ValueError):
        redact_json(b'{"secret', ["secret"])


def test_the_longest_form_says_how_much_a_reader_of_pieces_holds_back():
    assert longest([]) == longest(["abc"]) == 0
    assert longest([TRICKY]) >= max(len(form.rstrip("=")) for form in forms(TRICKY))


def test_terminal_escapes_and_controls_are_made_visible():
    assert escape_controls("\x1b[31mred\x1b[0m\a\r\x9b1m\x7f") == r"\x1b[31mred\x1b[0m\x07\x0d\x9b1m\x7f"
    assert escape_controls("a\u202eb\ud800") == r"a\u202eb\ud800"


@given(st.text(st.characters(codec="utf-8", categories=["L", "N", "P", "Zs"]) | st.sampled_from("\n\t")))
def test_ordinary_text_is_not_touched(text):
    assert escape_controls(text) == text


@given(st.text(st.characters()))
def test_what_is_made_visible_can_be_written_and_stays_as_it_is(text):
    shown = escape_controls(text)
    assert escape_controls(shown) == shown
    assert not any(ord(character) < 32 and character not in "\n\t" for character in shown)
    shown.encode()
