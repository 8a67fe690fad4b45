"""Sound inputs of every kind, from which damaged ones are made: documents of every dialect with every key, requests,
settings, schedule expressions, plugin files, command lines. Small: each is cut at every byte, each bit is flipped.
"""

import json
from typing import Any

from tests.rules.source import ROOT

_HOOKS: dict[str, Any] = {
    "on_success": [{"id": "s", "type": "print", "message": "${{ run.state }}"}],
    "on_failure": [
        {"id": "f", "type": "log", "message": "${{ run.failed }} ${{ tasks.a.reason }}"},
        {"id": "g", "type": "log", "message": "x", "depends_on": ["f"], "when": "run.reason == 'timeout'"},
    ],
    "on_cancel": [{"id": "c", "type": "print", "message": "c"}],
    "finally": [{"id": "z", "type": "print", "message": "z", "foreach": [1]}],
}
VALUES: list[Any] = [
    {"tasks": [{"id": "a", "type": "print", "message": "hi"}]},
    {
        "name": "né/~",
        "description": "d",
        "timeout": "1h30m",
        "max_parallel": 8,
        "fail_fast": True,
        "priority": -3,
        "params": {"day": {"type": "string", "default": "today"}, "n": {"type": "integer", "default": 2}},
        "defaults": {"timeout": 60, "retry": {"max_retries": 2, "on": ["timeout", "error"]}, "pool": "db"},
        "tasks": [
            {
                "id": "fetch",
                "type": "any",
                "url": "http://x/${{ params.day }}",
                "retry": {"delay": "1s", "backoff": 2, "max_delay": "1m", "jitter": 0.1, "exit_codes": [75]},
            },
            {
                "id": "clean",
                "type": "any",
                "depends_on": ["fetch"],
                "argv": ["./clean.sh"],
                "env": {"ROWS": "${{ tasks.fetch.output.rows }}"},
                "memory_limit": 1048576,
                "cpu_limit": "5s",
                "isolation": "process",
                "continue_on_failure": True,
                "trigger_rule": "all_done",
            },
            {"id": "alert", "type": "log", "depends_on": ["clean"], "when": "tasks.clean.output > 0", "message": "b"},
        ],
    },
    {
        "tasks": [
            {"id": "a", "type": "any", "pool": {"name": "db", "weight": 2}, "cache": {"key": "v", "ttl": "1h"}},
            {"id": "b", "type": "any", "depends_on": ["a", {"task": "c", "when": "tasks.a.output > 1"}]},
            {"id": "c", "type": "any", "cache": True, "deadline": {"within": "5m", "on_miss": "fail"}},
        ]
    },
    {
        "params": {"list": {"type": "array", "default": [1, "b", None]}},
        "tasks": [
            {
                "id": "a",
                "type": "any",
                "x": "${{ item }} ${{ index }}",
                "foreach": {"items": "${{ params.list }}", "key": "string(index)", "max_parallel": 2, "require": "80%"},
            },
            {"id": "b", "type": "any", "depends_on": ["a"], "foreach": "${{ tasks.a.output }}"},
            {"id": "c", "type": "any", "foreach": {"items": {"k": 1}}},
        ],
    },
    {
        "tasks": [
            {
                "id": "a",
                "type": "any",
                "x": "${{ iteration }} ${{ output }}",
                "loop": {
                    "until": "output.done",
                    "max_iterations": 3,
                    "delay": "1s",
                    "backoff": 2,
                    "max_delay": 9,
                    "at_limit": "complete",
                },
            },
            {"id": "b", "type": "any", "loop": {"while": "iteration < 5", "max_iterations": 9}},
        ]
    },
    {
        "tasks": [{"id": "a", "type": "any"}, {"id": "b", "type": "any", "x": "${{ state.n }} ${{ iteration }}"}],
        "routing": {
            "entry": "a",
            "edges": [
                {"from": "a", "to": "b"},
                {"from": "b", "to": "a", "condition": "state.n < 3 && output.x && iteration < 9"},
            ],
            "max_iterations": 7,
            "state": {"n": 0},
        },
    },
    {
        "tasks": [{"id": "a", "type": "any"}],
        "deadline": {"within": "1h", "on_miss": "warn"},
        "params": {"p": {}},
        "concurrency": {"key": "${{ params.p }}-${{ run.workflow }}", "limit": 2, "policy": "replace"},
        "outputs": {"rows": "${{ tasks.a.output.rows }}", "fixed": [1]},
        **_HOOKS,
    },
    {
        "params": {"p": {"type": "integer", "minimum": 1}},
        "tasks": [
            {
                "id": "c",
                "type": "workflow",
                "timeout": 5,
                "max_retries": 2,
                "params": {"p": "${{ params.p }}"},
                "workflow": {
                    "params": {"p": {"type": "integer"}},
                    "tasks": [{"id": "i", "type": "any", "x": "${{ params.p }}"}],
                    "outputs": {"x": "${{ tasks.i.output }}"},
                },
            },
            {"id": "n", "type": "workflow", "workflow": "nightly", "wait": False},
        ],
    },
    {
        "tasks": [
            {
                "id": "p",
                "type": "approval",
                "message": "Go?",
                "form": {"type": "object", "properties": {"n": {"type": "integer"}}},
                "within": "1h",
                "on_timeout": "approve",
                "data": {"n": 1},
            }
        ]
    },
    {
        "name": "keyed",
        "steps": {
            "a": {"type": "any", "depends_on": [], "input": {"x": 1}},
            "b": {"type": "any", "depends_on": ["a"], "input": {"y": "${{ tasks.a.output }}"}},
        },
    },
    {
        "name": "ordered",
        "metadata": {"owner": "o"},
        "steps": [
            {"name": "a", "task_type": "any", "step_order": 9, "config": {"m": "P {order}"}, "max_retries": 3},
            {"name": "b", "task_type": "any", "step_order": 0, "timeout_seconds": 60},
        ],
    },
    {
        "nodes": [
            {"id": "add", "type": "any", "config": {"rules": [{"value": 40}]}},
            {"id": "large", "type": "log", "message": "{state}"},
        ],
        "edges": [
            {"from": "add", "to": "large", "condition": "state.value > 100", "description": "d"},
            {"from": "add", "to": "add", "condition": "output != 'x'"},
        ],
        "entry": "add",
        "state": {"value": 10},
        "max_iterations": 10,
    },
    {"nodes": {"m": {"type": "any"}, "n": {"type": "any"}}, "edges": [{"from": "m", "to": "n"}], "entry": "m"},
    {
        "nodes": [
            {"id": "b", "type": "any", "config": {"data": {"n": 1}}, "dependencies": []},
            {"id": "e", "type": "any", "dependencies": ["b"]},
        ]
    },
]


def documents() -> list[bytes]:
    """Return workflow documents as text: ours, and those of `etc/`, each fit to be judged by the built-in plugins."""
    written = [
        json.dumps(value, ensure_ascii=number % 2 == 0, indent=(None, None, 1)[number % 3]).encode()
        for number, value in enumerate(VALUES)
    ]
    found = sorted((*ROOT.glob("etc/examples/*.json"), *ROOT.glob("etc/workflows/*.json")))
    return [*written, *(path.read_bytes() for path in found if path.stat().st_size < _LARGE_BYTES)]


_LARGE_BYTES = 1500

REQUESTS = [
    b'{"workflow": "n", "params": {"d": "x"}, "idempotency_key": "k", "priority": 5, "run_at": "2027-01-01T00:00:00Z"}',
    b'{"workflow": "a", "params": {}}\n\n{"workflow": "b", "run_at": "2027-01-01T00:00:00.5Z"}\r\n',
]
CONFIGS = [
    b"""[paths]
inbox = "in"
state = "var"
workflows = ["w"]
[executor]
workers = 2
grace = "10s"
environment = ["LANG"]
[limits]
document_bytes = "16MiB"
[inbox]
settle = "500ms"
dedupe = "content"
[inboxes.partner]
path = "p"
task_types = ["print"]
[pools.db]
size = 3
[[schedules]]
name = "n"
workflow = "w"
cron = "30 2 * * 1-5"
timezone = "Europe/Berlin"
on_missed = "last"
overlap = "skip"
jitter = "30s"
params = {day = "x", when = 2027-01-01T00:00:00Z}
[[routes]]
path = "in2"
match = "*.csv"
workflow = "w"
""",
    b"""[[schedules]]
name = "m"
workflow = "w"
weekly = "mon-fri 08:00"
start = 2027-01-01
end = "2028-01-01T00:00:00Z"
blackout = ["2027-12-24/2027-12-26", 2027-05-01]
""",
]
SCHEDULES = [
    "30 2 * * 1-5", "*/7 0-4,23 1-31/2 jan-mar,12 sun", "59 23 31 12 7", "@hourly", "@daily", "@yearly",
    "cron 0 0 29 2 *", "hourly :15", "hourly :45,:05", "daily 02:30,14:00", "weekly mon,thu 02:30",
    "weekly mon-fri 08:00, 18:00", "monthly last, 15, 01 02:30", "every 1h30m", "every 250ms", "every 1.0005",
    "at 2027-01-01T00:00:00+01:00", "at 2027-07-01 00:00", "at 2027-01-01T00:00:00.123456789Z",
]  # fmt: skip
PLUGINS = [
    b'''"""Says what it is told."""
TASK_TYPE = "fuzzed"
VERSION = "1.0"
REQUIRED_FIELDS = ["path"]
PARAM_SCHEMA = {"type": "object", "properties": {"path": {"type": "string"}, "n": {"minimum": 1}}}


def run(task):
    task["output"] = {"n": 1}
    return True
''',
    b'''from engine.task import task


@task("resize")
def resize(path: str, width: int = 800, *, tags: list[str] | None = None) -> dict:
    """Resize."""
    return {"path": path}
''',
]
ARGUMENTS = [
    ["validate", "sound.json"],
    ["validate", "--json", "sound.json", "broken.json"],
    ["plan", "sound.json"],
    ["plan", "--json", "sound.json"],
    ["calendar", "30 2 * * *", "--timezone", "Europe/Berlin", "--from", "2027-01-01T00:00:00Z", "--count", "3"],
    ["calendar", "--json", "daily 02:30"],
    ["config", "check"],
    ["config", "show"],
    ["config", "schema"],
    ["plugins", "--json"],
    ["plugins", "print"],
    ["workflows"],
    ["status", "--json"],
    ["runs", "--json"],
    ["runs", "--state", "FAILED", "--limit", "5"],
    ["show", "0123456789abcdefghjkmnpqrs"],
    ["logs", "0123", "a"],
    ["schedules"],
    ["inbox", "ls"],
    ["completion", "bash"],
    ["submit", "sound.json"],
    ["cancel", "0123"],
    ["retry", "0123", "--from", "a"],
]
