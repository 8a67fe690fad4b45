"""The language of expressions as data: the names in scope, the functions, the macros, and where CEL surprises.

The reference is printed from it, `program` checks names against it.
"""

NAMES: dict[str, str] = {
    "tasks": "Tasks upstream, by id: `tasks.ID.output`, `.state`, `.reason` (null also where a success was reused or "
    "cached), `.attempts`.",
    "params": "The parameters of the run.",
    "run": "The run itself: its id, its workflow and when it was created; in hooks also `.state`, `.reason`, `.message`"
    " and `.failed` (ids).",
    "trigger": "What caused the run: `trigger.type`, and what that type adds.",
    "item": "The element at hand, in a task with `foreach`.",
    "index": "Its number, from 0, or its key in an object.",
    "iteration": "The number of the iteration, from 1, in a task with `loop`; of the visit, in a graph.",
    "output": "The output of the iteration before (null at first), in its conditions of the one just ended.",
    "state": "The shared state, in a graph.",
    "env": "Environment variables that the configuration allows.",
    "secrets": "Secrets that the configuration names, in conditions and in the fields of tasks that a plugin runs; "
    "redacted wherever they would be shown.",
}
TASK_NAMES = ("output", "state", "reason", "attempts")
FUNCTIONS: dict[str, str] = {
    "has": "`has(a.b)`: whether the object `a` has a field `b`.",
    "size": "`size(x)` or `x.size()`: length of a list, object or text (of a text in bytes of UTF-8).",
    "contains": "`text.contains(part)`",
    "startsWith": "`text.startsWith(part)`",
    "endsWith": "`text.endsWith(part)`",
    "matches": "`text.matches(pattern)`: whether the regular expression is found in the text.",
    "string": "`string(x)`: a number, timestamp or duration as text.",
    "int": "`int(x)`: text, fraction (cut off) or unsigned as integer.",
    "uint": "`uint(x)`: as unsigned integer.",
    "double": "`double(x)`: as number with a fraction.",
    "bytes": "`bytes(text)`: its UTF-8 bytes; not a result, since JSON has no bytes.",
    "dyn": "`dyn(x)`: x itself.",
    "type": '`type(x)`: as in `type(x) == int`; the result is a text such as "int".',
    "timestamp": '`timestamp("2027-01-01T00:00:00Z")`: an instant; a result is written as RFC 3339 in UTC.',
    "duration": '`duration("1h30m")`: a span; a result is a number of seconds.',
    "getFullYear": "of a timestamp, in UTC",
    "getMonth": "of a timestamp, January is 0",
    "getDate": "of a timestamp, the first is 1",
    "getDayOfMonth": "of a timestamp, the first is 0",
    "getDayOfWeek": "of a timestamp, Sunday is 0",
    "getDayOfYear": "of a timestamp, 1 January is 0",
    "getHours": "of a timestamp, or of a duration in all",
    "getMinutes": "of a timestamp, or of a duration in all",
    "getSeconds": "of a timestamp, or of a duration in all",
    "getMilliseconds": "of a timestamp, or of a duration",
}
MACROS: dict[str, str] = {
    "all": "`list.all(x, condition)`: whether it holds for every element.",
    "exists": "`list.exists(x, condition)`: whether it holds for any.",
    "exists_one": "`list.exists_one(x, condition)`: whether it holds for exactly one.",
    "filter": "`list.filter(x, condition)`: those it holds for.",
    "map": "`list.map(x, value)` or `list.map(x, condition, value)`: a value for each (for which the condition holds).",
}
# How CEL differs from what people coming from elsewhere expect; printed in the reference.
SEMANTICS: tuple[tuple[str, str], ...] = (
    ("Numbers", "`1 + 1.5` is an error: convert with `double()` or `int()`. Comparing them is allowed: `1 < 1.5`."),
    ("Division", "`7 / 2` is 3, `-7 / 2` is -3, `7 % 3` is 1; by zero is an error. Past 64 bits is an error."),
    ("Text", "`+` joins two texts; a number first needs `string()`."),
    ("Conditions", "Must be true or false: there is no truth in 0, empty text or null. `&&`, `||`, `!`, `a ? b : c`."),
    ("Missing fields", "`a.b` is an error where there is no `b`; ask `has(a.b)` first, or `'b' in a`."),
    ("Lists", "`x[0]` is the first; a negative or too large index is an error. `x + y` joins, `1 in x` searches."),
    ("Objects", '`a.b` or `a["b"]`; a key that is not a plain name needs the brackets: `tasks["my-task"].output`.'),
    ("Equality", "`==` compares deeply; values of different kinds are just not equal; `1 == 1.0` is true."),
    ("Loops", "None but the macros; they may take as many steps as the limit expression_steps allows."),
)
TYPES = frozenset({"bool", "int", "uint", "double", "string", "bytes", "list", "map", "null_type", "type"})
