"""The examples of the reference: documents by what they show, printed as they stand here and judged by a test.

Together they use every key of a workflow and of a task, and every field of the engine's own task types.
"""

EXAMPLES: dict[str, tuple[str, str]] = {
    "Settings of tasks": (
        "What `defaults` says holds for every task that does not say otherwise.",
        """\
{
  "name": "nightly-report",
  "description": "Fetches a day and reports it.",
  "params": {"day": {"type": "string", "default": "yesterday", "description": "Which day."}},
  "timeout": "1h",
  "max_parallel": 8,
  "fail_fast": true,
  "priority": 5,
  "defaults": {"timeout": "60s", "retry": {"max_retries": 2}},
  "tasks": [
    {"id": "fetch", "type": "shell", "description": "One day of rows.", "argv": ["./fetch.sh", "${{ params.day }}"],
     "retry": {"max_retries": 5, "delay": "1s", "backoff": 2, "max_delay": "1m", "jitter": 0.1,
               "on": ["exit_code", "timeout"], "exit_codes": [75]}},
    {"id": "report", "type": "shell", "depends_on": ["fetch"], "argv": ["./report.sh"], "timeout": "5m", "priority": 1,
     "isolation": "process", "memory_limit": 1000000000, "cpu_limit": "2m", "continue_on_failure": true}
  ]
}""",
    ),
    "Branches and joins": (
        (
            "A condition on a dependency counts that one as skipped where it is false; `when` skips the task; "
            "`trigger_rule` says which outcomes of the dependencies let it run."
        ),
        """\
{
  "tasks": [
    {"id": "check", "type": "shell", "argv": ["./count-errors.sh"]},
    {"id": "repair", "type": "shell", "argv": ["./repair.sh"],
     "depends_on": [{"task": "check", "when": "tasks.check.output.exit_code != 0"}]},
    {"id": "report", "type": "print", "message": "Check: ${{ tasks.check.output }}", "depends_on": ["check"],
     "when": "tasks.check.state == 'COMPLETED'"},
    {"id": "join", "type": "print", "message": "Whatever happened, this is said.",
     "depends_on": ["repair", "report"], "trigger_rule": "all_done"}
  ]
}""",
    ),
    "`foreach`": (
        (
            "In its short form a list, or an expression that gives a list or an object; in its long form an "
            "object with `items`. Instances are called `id[key]`. `item` and `index` are known in the fields and "
            "in `key`. The output is the list (or object) of the outputs, null for an instance that failed."
        ),
        """\
{
  "params": {"files": {"type": "array", "items": {"type": "object"}, "default": []}},
  "tasks": [
    {"id": "greet", "type": "print", "message": "${{ index }}: ${{ item }}", "foreach": ["ada", "grace"]},
    {"id": "measure", "type": "shell", "argv": ["wc", "-c", "${{ item.path }}"],
     "foreach": {"items": "${{ params.files }}", "key": "item.path", "max_parallel": 4, "require": "80%"}},
    {"id": "sum", "type": "print", "message": "${{ tasks.measure.output }}", "depends_on": ["measure"]}
  ]
}""",
    ),
    "`loop`": (
        (
            "The body runs at least once; `until` or `while` is judged after each iteration, over its `output` "
            "and `iteration`. In the fields, `output` is that of the iteration before, null at first."
        ),
        """\
{
  "tasks": [
    {"id": "poll", "type": "shell", "argv": ["./state.sh", "${{ iteration }}"],
     "loop": {"until": "output.stdout == 'done'", "max_iterations": 20, "delay": "1s", "backoff": 2, "max_delay": "1m",
              "at_limit": "fail"}},
    {"id": "drain", "type": "shell", "argv": ["./take.sh"],
     "loop": {"while": "output.exit_code == 0", "max_iterations": 9}}
  ]
}""",
    ),
    "Tasks of the type `workflow`": (
        (
            "By name, by path, or written out in the task, where it is a document of its own: names of the outer "
            "one are not known in it. Its output is what its `outputs` say. `foreach` or `loop` repeats it as a "
            "whole."
        ),
        """\
{
  "tasks": [
    {"id": "nightly", "type": "workflow", "workflow": "nightly-report", "params": {"day": "today"}, "wait": false},
    {"id": "each", "type": "workflow", "foreach": [1, 2], "params": {"n": "${{ item }}"}, "timeout": "5m",
     "workflow": {
       "params": {"n": {"type": "integer"}},
       "tasks": [
         {"id": "first", "type": "print", "message": "${{ params.n }}"},
         {"id": "second", "type": "print", "message": "done", "depends_on": ["first"]}
       ],
       "outputs": {"n": "${{ params.n }}", "said": "${{ tasks.second.output }}"}
     }}
  ]
}""",
    ),
    "Tasks of the type `approval`": (
        (
            "The task is WAITING until somebody approves or rejects it, or `within` is over. Approved, it "
            "completes with `approved`, `actor`, `note` and `data`; rejected, it fails."
        ),
        """\
{
  "tasks": [
    {"id": "ask", "type": "approval", "message": "Release to production?", "within": "2h", "on_timeout": "reject",
     "form": {"type": "object", "properties": {"version": {"type": "string"}}, "required": ["version"]},
     "data": {"version": "latest"}},
    {"id": "release", "type": "shell", "argv": ["./release.sh", "${{ tasks.ask.output.data.version }}"],
     "depends_on": ["ask"]}
  ]
}""",
    ),
    "Hooks and `outputs`": (
        (
            "Tasks of a hook run when the outcome of the run is fixed, those of `finally` after them; what "
            "becomes of them changes it no more. They may name every task of `tasks`, and `run.state`, "
            "`run.reason`, `run.message` and `run.failed`. `depends_on` names tasks of the same list."
        ),
        """\
{
  "tasks": [{"id": "work", "type": "shell", "argv": ["./work.sh"]}],
  "outputs": {"said": "${{ tasks.work.output.stdout }}"},
  "on_success": [{"id": "cheer", "type": "print", "message": "${{ tasks.work.output }}"}],
  "on_failure": [
    {"id": "collect", "type": "shell", "argv": ["./collect-logs.sh"]},
    {"id": "tell", "type": "print", "message": "${{ run.failed }}: ${{ run.message }}", "depends_on": ["collect"]}
  ],
  "on_cancel": [{"id": "undo", "type": "shell", "argv": ["./undo.sh"]}],
  "finally": [{"id": "clean", "type": "shell", "argv": ["rm", "-rf", "scratch"]}]
}""",
    ),
    "Slots, caches and deadlines": (
        (
            "`pool` and `deadline` may be written short. `cache: true` keeps an output under the task type, its "
            "version and its fields. A `deadline` counts from the start of the run."
        ),
        """\
{
  "deadline": {"within": "2h", "on_miss": "fail"},
  "concurrency": {"key": "${{ params.customer }}", "limit": 1, "policy": "queue"},
  "params": {"customer": {"type": "string"}},
  "tasks": [
    {"id": "query", "type": "shell", "argv": ["./query.sh"], "pool": "db", "cache": true, "deadline": "30m"},
    {"id": "load", "type": "shell", "argv": ["./load.sh"], "depends_on": ["query"], "pool": {"name": "db", "weight": 3},
     "cache": {"key": "load-${{ params.customer }}", "ttl": "1d"}, "deadline": {"within": "1h", "on_miss": "warn"}}
  ]
}""",
    ),
    "`routing`": (
        (
            "The tasks are the nodes of a graph that may have cycles, visited one after the other. What a node "
            "returns goes into `state`: the keys of an object one by one, anything else under the id of the node. "
            "After a visit, every edge without a condition, or with a true one, adds its target to the line. A "
            "document with `nodes` and `edges` becomes this. Its tasks have no `depends_on`, `when`, "
            "`trigger_rule`, `foreach` or `loop`."
        ),
        """\
{
  "params": {"goal": {"type": "integer", "default": 3}},
  "routing": {
    "entry": "count",
    "edges": [
      {"from": "count", "to": "count", "condition": "state.n < params.goal"},
      {"from": "count", "to": "done", "condition": "state.n >= params.goal"}
    ],
    "max_iterations": 50,
    "state": {"n": 0}
  },
  "tasks": [
    {"id": "count", "type": "python", "function": "counting:add", "kwargs": {"n": "${{ state.n }}"}},
    {"id": "done", "type": "print", "message": "${{ state.n }} after ${{ iteration }} visits"}
  ]
}""",
    ),
}
