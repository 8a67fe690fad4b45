"""The bounds a document, an output and a run are held to; settings with documented defaults.

Precedents: GitHub Actions 256 matrix legs and 21 KB expressions, Airflow 48 KB XCom, Step Functions 256 KB payloads and
25,000 events, Temporal 2 MB payloads and 51,200 events. Ours are wider because one machine pays for them alone.
"""

from typing import Annotated

import msgspec
from msgspec import Meta

Count = Annotated[int, Meta(ge=1)]
Bytes = Annotated[int, Meta(ge=1, extra={"unit": "bytes"})]
Seconds = Annotated[float, Meta(gt=0, extra={"unit": "seconds"})]


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """Bound what is accepted; every field can be set in the configuration."""

    document_bytes: Annotated[Bytes, Meta(description="Largest workflow document, in bytes.")] = 16 * 1024 * 1024
    document_depth: Annotated[Count, Meta(description="Deepest nesting of lists and objects in a document.")] = 64
    document_tasks: Annotated[Count, Meta(description="Most tasks in one document.")] = 20_000
    document_problems: Annotated[Count, Meta(description="Most problems reported for one document.")] = 100
    expression_chars: Annotated[Count, Meta(description="Longest expression, in characters.")] = 4096
    expression_steps: Annotated[
        Count, Meta(description="Most elements that the list macros of one expression may visit, by an upper estimate.")
    ] = 10_000_000
    output_bytes: Annotated[Bytes, Meta(description="Largest output of a task as JSON, in bytes.")] = 16 * 1024 * 1024
    inline_bytes: Annotated[
        Bytes, Meta(description="Outputs larger than this are kept in a file beside the database, in bytes.")
    ] = 64 * 1024
    log_bytes: Annotated[
        Bytes, Meta(description="Largest log of one attempt, in bytes; the rest is dropped and said.")
    ] = 10 * 1024 * 1024
    task_timeout: Annotated[
        Seconds, Meta(description="Timeout of an attempt whose task and workflow set none, in seconds.")
    ] = 24 * 3600.0
    max_lost: Annotated[
        int, Meta(description="How often an attempt may be lost with its process before the task fails.", ge=0)
    ] = 3
    foreach_items: Annotated[Count, Meta(description="Most instances of one task with `foreach`.")] = 100_000
    workflow_depth: Annotated[
        Count, Meta(description="How deep workflows may call workflows; 1 is a run that nobody called.")
    ] = 10
