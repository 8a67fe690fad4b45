"""The kinds of values that settings have, beside plain text, numbers and paths.

`unit` tells `leaves` how a value may be written, `says` tells a person what a pattern means.
"""

from typing import Annotated

from msgspec import Meta

Seconds = Annotated[float, Meta(ge=0, extra={"unit": "seconds"})]
Interval = Annotated[float, Meta(ge=0.01, extra={"unit": "seconds"})]  # shorter ones only heat the processor
Bytes = Annotated[int, Meta(ge=0, extra={"unit": "bytes"})]
Count = Annotated[int, Meta(ge=0)]
Moment = Annotated[str, Meta(extra={"unit": "moment"})]
Instant = Annotated[str, Meta(extra={"unit": "instant"})]
Span = Annotated[str, Meta(extra={"unit": "span"})]
Period = Annotated[str, Meta(extra={"unit": "period"})]
Filled = Annotated[str, Meta(min_length=1)]
# As JSON Schema writes patterns; that Python's $ lets a newline pass does not matter, control characters are refused.
Name = Annotated[
    str,
    Meta(
        pattern="^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}$",
        extra={"says": "1 to 128 letters, digits, _ - and . but no . first"},
    ),
]
Variable = Annotated[str, Meta(pattern="^[A-Za-z_][A-Za-z0-9_]*$", extra={"says": "a name of letters, digits and _"})]
Mode = Annotated[str, Meta(pattern="^0?[0-7]{3}$", extra={"says": 'octal digits in quotes, such as "0660"'})]
TimeOfDay = Annotated[
    str, Meta(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", extra={"says": 'a time of day such as "02:30"'})
]
FileName = Annotated[str, Meta(pattern="^(?!\\.{1,2}$)[^/]*$", extra={"says": "the name of a file, without a folder"})]
