"""Single values: how a setting of each type may be written, and what it becomes.

Knows types and units, no setting by name; the sentences about what may not be are `wording`. Called by `reader` for
every value that is no table.
"""

import datetime as dt
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from msgspec import inspect

from daemon.config.draft import FromEnvironment
from daemon.config.sizes import LARGEST, parse_size
from engine import durations

V = TypeVar("V")
Resolve: TypeAlias = Callable[[str], Path]

_DEEPEST = 64  # as deep as a document may be
_UNFIT = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # control characters, and bytes that are not UTF-8


class WrongError(Exception):
    """A value is not what its setting takes; the caller knows which setting, and says so."""


def bare(kind: inspect.Type) -> tuple[inspect.Type, dict[str, Any]]:
    """Part a type from what stands around it: the type itself, and `unit` or `says` where its annotations have them."""
    extra: dict[str, Any] = {}
    while True:
        if isinstance(kind, inspect.Metadata):
            extra |= kind.extra or {}
            kind = kind.type
        elif isinstance(kind, inspect.UnionType) and len(choices(kind)) == 1:
            kind = choices(kind)[0]
        else:
            return kind, extra


def choices(kind: inspect.UnionType) -> list[inspect.Type]:
    """List what a setting may be beside left out."""
    return [member for member in kind.types if not isinstance(member, inspect.NoneType)]


def convert(kind: inspect.Type, raw: object, resolve: Resolve) -> Any:
    """Turn a raw value into what a setting of this type holds; `resolve` makes paths absolute.

    Raises WrongError when it cannot be. Text from the environment is tried as a TOML value first, then as it is.
    """
    if isinstance(raw, FromEnvironment):
        try:
            return convert(kind, raw.value(), resolve)
        except WrongError:
            return convert(kind, raw.text, resolve)
    kind, extra = bare(kind)
    if isinstance(kind, inspect.UnionType):
        return _first_that_fits(kind, raw, resolve)
    unit = extra.get("unit")
    if isinstance(kind, inspect.BoolType):
        return _if(isinstance(raw, bool), raw)
    if isinstance(kind, inspect.IntType | inspect.FloatType):
        return _number(kind, unit, raw)
    if isinstance(kind, inspect.LiteralType):
        word = raw.lower() if isinstance(raw, str) else raw
        return _if(isinstance(raw, str) and word in kind.values, word)
    if isinstance(kind, inspect.CustomType):
        text = _text(raw)
        return resolve(_if(text != "", text))
    if isinstance(kind, inspect.StrType):
        text = _text(_as_text(unit, raw))
        is_right = len(text) >= (kind.min_length or 0) and re.search(kind.pattern or "", text) is not None
        return _if(is_right, text)
    raise TypeError(kind)


def free_value(raw: object, depth: int = 0) -> Any:
    """Turn any TOML value into JSON's types; dates and times become text as RFC 3339 writes them.

    Raises WrongError, with a sentence, for what JSON cannot hold: NaN, infinity, more than 64 bits, text that is not
    UTF-8 or holds NUL, more than 64 levels.
    """
    if depth > _DEEPEST:
        raise WrongError(f"is nested more than {_DEEPEST} levels deep")
    if isinstance(raw, FromEnvironment):
        return free_value(raw.value(), depth)
    if isinstance(raw, dict):
        return {free_value(key): free_value(value, depth + 1) for key, value in raw.items()}
    if isinstance(raw, list):
        return [free_value(value, depth + 1) for value in raw]
    if isinstance(raw, dt.date | dt.time):
        return raw.isoformat()
    if isinstance(raw, float) and not math.isfinite(raw):
        raise WrongError("holds a number that is not finite")
    if isinstance(raw, int) and not -LARGEST - 1 <= raw <= LARGEST:
        raise WrongError("holds a number of more than 64 bits")
    if isinstance(raw, str) and re.search("[\0\ud800-\udfff]", raw):
        raise WrongError("holds text that is not UTF-8, or NUL")
    return raw


def _first_that_fits(kind: inspect.UnionType, raw: object, resolve: Resolve) -> Any:
    for member in choices(kind):
        try:
            return convert(member, raw, resolve)
        except WrongError:
            continue
    raise WrongError


def _number(kind: inspect.IntType | inspect.FloatType, unit: str | None, raw: object) -> int | float:
    value = raw
    if unit == "seconds":
        value = _read(durations.parse, raw)
    elif unit == "bytes" and isinstance(raw, str):
        value = _read(parse_size, raw)
    allowed = int | float if isinstance(kind, inspect.FloatType) else int
    if isinstance(value, bool) or not isinstance(value, allowed):
        raise WrongError
    low = -LARGEST - 1 if kind.ge is None else kind.ge
    high = LARGEST if kind.le is None else kind.le
    is_right = low <= value <= high and (kind.gt is None or value > kind.gt)
    return _if(is_right, float(value) if isinstance(kind, inspect.FloatType) else value)


def _read(parse: Callable[[Any], V], raw: object) -> V:
    try:
        return parse(raw)
    except ValueError:
        raise WrongError from None


def _as_text(unit: str | None, raw: object) -> object:
    """Write dates and numbers as the text that the calendar reads, where a setting is for the calendar."""
    if unit in {"moment", "instant", "span"} and isinstance(raw, dt.date):
        return raw.isoformat()
    if unit == "span" and isinstance(raw, list) and len(raw) == 2:  # noqa: PLR2004 -- from and to
        return "/".join(_text(_as_text("moment", end)) for end in raw)
    if unit == "period" and isinstance(raw, int | float) and not isinstance(raw, bool):
        return durations.text(_read(durations.parse, raw))
    return raw


def _text(raw: object) -> str:
    if not isinstance(raw, str) or _UNFIT.search(raw):
        raise WrongError
    return raw


def _if(is_right: bool, value: V) -> V:  # noqa: FBT001 -- reads as a sentence
    if not is_right:
        raise WrongError
    return value
