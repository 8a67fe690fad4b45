"""Documents that cannot be run, each with every problem that has to be found in it, and where; data alone."""

# A text, and (code, pointer, line, column) of every problem in it, in order.
BAD = [
    (b"[]", [("wrong_type", "", 1, 1)]),
    (b'"tasks"', [("wrong_type", "", 1, 1)]),
    (b"\n {}", [("missing_key", "", 2, 2)]),
    (b'{"tasks": {}}', [("wrong_type", "/tasks", 1, 11)]),
    (b'{"tasks": []}', [("no_tasks", "/tasks", 1, 11)]),
    (b'{"tasks":\n[5, "a"]}', [("wrong_type", "/tasks/0", 2, 2), ("wrong_type", "/tasks/1", 2, 5)]),
    (b'{"steps": {}}', [("no_tasks", "/steps", 1, 11)]),
    (b'{"nodes": [], "edges": []}', [("missing_key", "", 1, 1), ("no_tasks", "/nodes", 1, 11)]),
    (b'{"tasks": [{}]}', [("missing_key", "/tasks/0", 1, 12), ("missing_key", "/tasks/0", 1, 12)]),
    (b'{"tasks": [{"id": "a"}]}', [("missing_key", "/tasks/0", 1, 12)]),
    (b'{"tasks": [{"type": "any"}]}', [("missing_key", "/tasks/0", 1, 12)]),
    (
        (b'{"task": 1,\n "timeout": "0s",\n "name": "",\n "retry": {},\n "workflow": "x",\n'
        b' "tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("unknown_key", "/task", 1, 2),
            ("bad_duration", "/timeout", 2, 13),
            ("bad_value", "/name", 3, 10),
            ("unknown_key", "/retry", 4, 2),
            ("unknown_key", "/workflow", 5, 2),
        ],
    ),
    (
        (b'{"fail_fast": 1, "priority": 1.5, "max_parallel": 0, "description": 5, "name": "a\\nb", "timeout": -1,\n'
        b'"params": [], "defaults": 5, "tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("wrong_type", "/fail_fast", 1, 15),
            ("wrong_type", "/priority", 1, 30),
            ("bad_value", "/max_parallel", 1, 51),
            ("wrong_type", "/description", 1, 69),
            ("bad_value", "/name", 1, 80),
            ("bad_duration", "/timeout", 1, 99),
            ("wrong_type", "/params", 2, 11),
            ("wrong_type", "/defaults", 2, 27),
        ],
    ),
    (
        b'{"tasks": [{"id": "a b", "type": "any"},\n{"id": "", "type": ""},\n{"id": 5, "type": []},\n'
        b'{"id": "' + b"x" * 129 + b'", "type": "any"},\n{"id": "a", "type": "any"}, {"id": "a", "type": "any"}]}',
        [
            ("bad_id", "/tasks/0/id", 1, 19),
            ("bad_id", "/tasks/1/id", 2, 8),
            ("bad_value", "/tasks/1/type", 2, 20),
            ("wrong_type", "/tasks/2/id", 3, 8),
            ("wrong_type", "/tasks/2/type", 3, 19),
            ("bad_id", "/tasks/3/id", 4, 8),
            ("duplicate_id", "/tasks/5/id", 5, 36),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "when": 5, "trigger_rule": "all", "timeout": "5 minutes",\n'
        b'"retry": 3, "priority": true, "continue_on_failure": "yes", "isolation": "proces", "memory_limit": 0,\n'
        b'"cpu_limit": null, "description": null, "depends_on": "b"}]}'),
        [
            ("wrong_type", "/tasks/0/when", 1, 47),
            ("bad_value", "/tasks/0/trigger_rule", 1, 66),
            ("bad_duration", "/tasks/0/timeout", 1, 84),
            ("wrong_type", "/tasks/0/retry", 2, 10),
            ("wrong_type", "/tasks/0/priority", 2, 25),
            ("wrong_type", "/tasks/0/continue_on_failure", 2, 54),
            ("bad_value", "/tasks/0/isolation", 2, 74),
            ("bad_value", "/tasks/0/memory_limit", 2, 100),
            ("wrong_type", "/tasks/0/description", 3, 35),
            ("wrong_type", "/tasks/0/depends_on", 3, 55),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "retry": {"max_retires": 1, "delay": "x", "backoff": 0.5,\n'
        b'"jitter": 2, "on": ["timeot", "user"], "exit_codes": [300, "1", true], "max_retries": -1}}]}'),
        [
            ("unknown_key", "/tasks/0/retry/max_retires", 1, 49),
            ("bad_duration", "/tasks/0/retry/delay", 1, 76),
            ("bad_value", "/tasks/0/retry/backoff", 1, 92),
            ("bad_value", "/tasks/0/retry/jitter", 2, 11),
            ("bad_value", "/tasks/0/retry/on/0", 2, 21),
            ("bad_value", "/tasks/0/retry/on/1", 2, 31),
            ("bad_value", "/tasks/0/retry/exit_codes/0", 2, 55),
            ("wrong_type", "/tasks/0/retry/exit_codes/1", 2, 60),
            ("wrong_type", "/tasks/0/retry/exit_codes/2", 2, 65),
            ("bad_value", "/tasks/0/retry/max_retries", 2, 87),
        ],
    ),
    (
        (b'{"defaults": {"timout": 1, "id": "x", "timeout": "x", "timeout_seconds": "5s", "retry_count": -1},\n'
        b'"tasks": [{"id": "a", "type": "any"}]}'),
        [
            ("unknown_key", "/defaults/timout", 1, 15),
            ("unknown_key", "/defaults/id", 1, 28),
            ("bad_duration", "/defaults/timeout", 1, 50),
            ("wrong_type", "/defaults/timeout_seconds", 1, 74),
            ("bad_value", "/defaults/retry_count", 1, 95),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "foreach": 1, "loop": {"while": 1}, "pool": 5, "cache": "x"}],\n'
        b'"defaults": {"pool": 5}}'),
        [
            ("wrong_type", "/tasks/0/foreach", 1, 50),
            ("missing_key", "/tasks/0/loop", 1, 61),
            ("wrong_type", "/tasks/0/loop/while", 1, 71),
            ("wrong_type", "/tasks/0/pool", 1, 83),
            ("wrong_type", "/tasks/0/cache", 1, 95),
            ("wrong_type", "/defaults/pool", 2, 22),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "depend_on": [], "timout": 5, "max_retires": 1, "dependsOn": [],\n'
        b'"needs": [], "output": 1, "inputs": 1, "tool": 1}]}'),
        [
            ("near_miss", "/tasks/0/depend_on", 1, 39),
            ("near_miss", "/tasks/0/timout", 1, 56),
            ("near_miss", "/tasks/0/max_retires", 1, 69),
            ("near_miss", "/tasks/0/dependsOn", 1, 87),
            ("near_miss", "/tasks/0/needs", 2, 1),
            ("hidden_field", "/tasks/0/output", 2, 14),
            ("hidden_field", "/tasks/0/inputs", 2, 27),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "timeout": 5, "timeout_seconds": 5,\n'
        b'"max_retries": 1, "retry_count": 1, "retry": {}},\n'
        b'{"id": "b", "type": "any", "retry": {"max_retries": 1}, "max_retries": 1}]}'),
        [
            ("conflict", "/tasks/0/timeout_seconds", 1, 53),
            ("conflict", "/tasks/0/retry_count", 2, 19),
            ("conflict", "/tasks/1/max_retries", 3, 57),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "prnt"},\n{"id": "b", "type": "print"},\n{"id": "c", "type": "broken"}]}',
        [
            ("unknown_type", "/tasks/0/type", 1, 32),
            ("missing_field", "/tasks/1", 2, 1),
            ("invalid_field", "/tasks/2/type", 3, 21),
        ],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "resize", "path": 5, "width": 0, "mode": "fil", "colour": "red",\n'
        b'"box": {"x": "1", "z": 1}}, {"id": "b", "type": "resize", "width": "${{ 1 }}", "box": {"y": "${{ 1 }}"}}]}'),
        [
            ("invalid_field", "/tasks/0/path", 1, 50),
            ("invalid_field", "/tasks/0/width", 1, 62),
            ("invalid_field", "/tasks/0/mode", 1, 73),
            ("invalid_field", "/tasks/0/colour", 1, 80),
            ("invalid_field", "/tasks/0/box/x", 2, 14),
            ("invalid_field", "/tasks/0/box/z", 2, 19),
            ("missing_field", "/tasks/1", 2, 29),
            ("invalid_field", "/tasks/1/box/y", 2, 88),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["a", "bb", "b", "b", 5]},\n{"id": "b", "type": "any"}]}',
        [
            ("self_dependency", "/tasks/0/depends_on/0", 1, 54),
            ("unknown_dependency", "/tasks/0/depends_on/1", 1, 59),
            ("wrong_type", "/tasks/0/depends_on/4", 1, 75),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["a"]}]}',
        [("self_dependency", "/tasks/0/depends_on/0", 1, 54)],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any"},\n{"id": "b", "type": "any", "depends_on": ["a", "a"]}]}',
        [("duplicate_dependency", "/tasks/1/depends_on/1", 2, 48)],
    ),
    (
        (b'{"tasks": [{"id": "a", "type": "any", "depends_on": ["e", "c"]}, {"id": "b", "type": "any", "depends_on": '
        b'["a"]},\n{"id": "c", "type": "any", "depends_on": ["b"]}, {"id": "x", "type": "any", "depends_on": ["y"]},\n'
        b'{"id": "y", "type": "any", "depends_on": ["x"]}, {"id": "e", "type": "any"}]}'),
        [("cycle", "/tasks/0/depends_on/1", 1, 59), ("cycle", "/tasks/3/depends_on/0", 2, 92)],
    ),
    (
        b'{"params": {"p": {}}, "tasks": [{"id": "a", "type": "any"},\n'
        b'{"id": "b", "type": "any", "x": "${{ tasks.a.output }}", "y": ["${{ params.q }}", {"z": "${{ 1 + }}"}]},\n'
        b'{"id": "c", "type": "any", "depends_on": ["a"], "w": "${{ tasks.q.output }} ${{ tasks.c.state }}",\n'
        b'"v": "${{ tasks.a.outputs }}", "u": "${{ item }} ${{ foo }}", "t": "${{ tasks[params.p] }}", "s": "${{"},\n'
        b'{"id": "d", "type": "any", "when": "tasks.c.output > 0",\n"r": "${{ ' + b"[" * 40 + b"]" * 40 + b' }}"}]}',
        [
            ("expression_reference", "/tasks/1/x", 2, 33),
            ("expression_param", "/tasks/1/y/0", 2, 64),
            ("expression_syntax", "/tasks/1/y/1/z", 2, 89),
            ("expression_reference", "/tasks/2/w", 3, 54),
            ("expression_reference", "/tasks/2/w", 3, 54),
            ("expression_name", "/tasks/2/v", 4, 6),
            ("expression_name", "/tasks/2/u", 4, 37),
            ("expression_name", "/tasks/2/u", 4, 37),
            ("expression_reference", "/tasks/2/t", 4, 68),
            ("expression_syntax", "/tasks/2/s", 4, 99),
            ("expression_reference", "/tasks/3/when", 5, 36),
            ("expression_limit", "/tasks/3/r", 6, 6),
        ],
    ),
    (
        (b'{"params": {"a b": {}, "c": 5, "d": {"type": "str"}, "e": {"typ": "string"},\n'
        b'"f": {"type": "integer", "default": "x"}, "g": {"required": true}, "h": {"items": {"$ref": "#"}},\n'
        b'"i": {"description": 5}, "j": {"items": {"type": "string"}, "default": ["a", 1]}},\n'
        b'"tasks": [{"id": "a", "type": "any", "x": "${{ params.d }} ${{ params.f }}"}]}'),
        [
            ("bad_value", "/params/a b", 1, 13),
            ("wrong_type", "/params/c", 1, 29),
            ("param_schema", "/params/d", 1, 37),
            ("unknown_key", "/params/e/typ", 1, 60),
            ("param_default", "/params/f/default", 2, 37),
            ("param_schema", "/params/g", 2, 48),
            ("param_schema", "/params/h", 2, 73),
            ("wrong_type", "/params/i/description", 3, 22),
            ("param_default", "/params/j/default/1", 3, 78),
        ],
    ),
    (
        b'{"tasks": [{"id": "a", "type": "any", "x": NaN, "timeout": 1e999, "y": 1, "y": 2, "timout": "\\ud800"}]}',
        [
            ("not_a_number", "/tasks/0/x", 1, 44),
            ("not_a_number", "/tasks/0/timeout", 1, 60),
            ("duplicate_key", "/tasks/0/y", 1, 75),
            ("surrogate", "/tasks/0/timout", 1, 93),
        ],
    ),
]  # fmt: skip
