"""Documents in other dialects that cannot be run, each with every problem of it, and where; data alone."""

# A text, and (code, pointer, line, column, part of the hint) of every problem in it, in order.
BAD = [
    # two ways at once
    ('{"tasks": [],\n "steps": {}}', [("incompatible", "/steps", 2, 2, "Keep one")]),
    ('{"steps": [], "nodes": {}, "edges": []}', [("incompatible", "/nodes", 1, 15, "Keep one")]),
    ('{"tasks": 5, "nodes": 5, "steps": 5}', [("incompatible", "/nodes", 1, 14, "Keep one")]),
    ('{"tasks": [], "edges": []}', [("incompatible", "/edges", 1, 15, '"routing"')]),
    ('{"steps": [], "entry": "a"}', [("incompatible", "/entry", 1, 15, "write nodes")]),
    ('{"edges": []}', [("missing_key", "/edges", 1, 2, "")]),
    (
        (
            '{"nodes": {"a": {"type": "any"},\n "b": {"type": "any", "dependencies": ["a"]}, "c": '
            '{"depends_on": ["b"]}},\n'
            ' "edges": [], "entry": "a"}'
        ),
        [("incompatible", "/nodes/b/dependencies", 2, 39, "edges are walked")],
    ),
    # by id
    ('{"steps": 5}', [("wrong_type", "/steps", 1, 11, "")]),
    ('{"steps": {}}', [("no_tasks", "/steps", 1, 11, "")]),
    ('{"step": {}}', [("missing_key", "", 1, 1, ""), ("unknown_key", "/step", 1, 2, "")]),
    (
        '{"id": "w", "steps": {\n"a": {"type": "any", "depends_on": ["b"]},\n"b c": {"depends_on": [], "input": 5}}}',
        [
            ("unknown_dependency", "/steps/a/depends_on/0", 2, 37, ""),
            ("bad_id", "/steps/b c", 3, 1, ""),
            ("missing_key", "/steps/b c", 3, 1, ""),
            ("wrong_type", "/steps/b c/input", 3, 36, ""),
        ],
    ),
    (
        (
            '{"id": "w", "name": "w", "timeot": 5, "steps": {"a": {"type": "print",\n"inputs": {"message": "x"},\n'
            '"depend_on": []}}}'
        ),
        [
            ("conflict", "/id", 1, 2, "Keep one"),
            ("unknown_key", "/timeot", 1, 26, '"timeout"'),
            ("near_miss", "/steps/a/inputs", 2, 1, 'Did you mean "input"?'),
            ("near_miss", "/steps/a/depend_on", 3, 1, '"depends_on"'),
        ],
    ),
    (
        (
            '{"steps": {"a~/b": {"type": "print", "message": "x",\n"input": {"message": "y", "timeout": 5}},\n'
            '"b": {"type": "print", "input": {"message": "${{ tasks.c.output }}"}, "max_retries": -1}, "c": 5}}'
        ),
        [
            ("bad_id", "/steps/a~0~1b", 1, 12, ""),
            ("conflict", "/steps/a~0~1b/input/message", 2, 11, "Keep one"),
            ("incompatible", "/steps/a~0~1b/input/timeout", 2, 27, 'beside "input"'),
            ("expression_reference", "/steps/b/input/message", 3, 45, ""),
            ("bad_value", "/steps/b/max_retries", 3, 86, ""),
            ("wrong_type", "/steps/c", 3, 96, ""),
        ],
    ),
    # in order
    ('{"steps": []}', [("no_tasks", "/steps", 1, 11, "")]),
    (
        (
            '{"steps": [{"name": "a", "task_typ": "print", "step_order": 0, "config": {"mesage": "x", '
            '"message": 1}},\n'
            '{"id": "b", "type": "any", "step_order": "1"},\n{"name": "c", "task_type": "any", "depends_on": ["a"]},\n'
            '{"step_order": 3}, 5]}'
        ),
        [
            ("near_miss", "/steps/0/task_typ", 1, 26, '"task_type"'),
            ("invalid_field", "/steps/0/config/mesage", 1, 75, '"message"'),
            ("near_miss", "/steps/1/id", 2, 2, '"name"'),
            ("near_miss", "/steps/1/type", 2, 13, '"task_type"'),
            ("wrong_type", "/steps/1/step_order", 2, 42, ""),
            ("missing_key", "/steps/2", 3, 1, "Either all"),
            ("incompatible", "/steps/2/depends_on", 3, 35, "by id"),
            ("missing_key", "/steps/3", 4, 1, ""),
            ("missing_key", "/steps/3", 4, 1, ""),
            ("wrong_type", "/steps/4", 4, 20, ""),
        ],
    ),
    (
        (
            '{"name": "w", "metadata": 5, "input_data": 5, "max_retries": 1, "steps": [\n'
            '{"name": "a", "task_type": "nope", "timeout_seconds": "x", "config": null}, '
            '{"name": "a", "task_type": "any"},'
            '\n{"name": "b", "task_type": "any", "config": {"x": "${{ 1 + }}"}}]}'
        ),
        [
            ("wrong_type", "/metadata", 1, 27, ""),
            ("param_default", "/input_data", 1, 44, ""),
            ("unknown_key", "/max_retries", 1, 47, '"defaults"'),
            ("unknown_type", "/steps/0/task_type", 2, 28, ""),
            ("duplicate_id", "/steps/1/name", 2, 86, ""),
            ("expression_syntax", "/steps/2/config/x", 3, 51, ""),
        ],
    ),
    (
        '{"params": {}, "input_data": {}, "steps": [{"name": "a", "task_type": "any"}]}',
        [("conflict", "/input_data", 1, 16, "leave params out")],
    ),
    # nodes
    ('{"nodes": 5}', [("wrong_type", "/nodes", 1, 11, "")]),
    ('{"nodes": []}', [("no_tasks", "/nodes", 1, 11, "")]),
    (
        (
            '{"nodes": [{"id": "a", "type": "any", "dependencies": ["b"]}, {"id": "b", "type": "any",\n'
            '"dependancies": ["a"]}, {"type": "any"}], "edgs": []}'
        ),
        [
            ("cycle", "/nodes/0/dependencies/0", 1, 56, ""),
            ("near_miss", "/nodes/1/dependancies", 2, 1, '"dependencies"'),
            ("missing_key", "/nodes/2", 2, 25, ""),
            ("unknown_key", "/edgs", 2, 43, ""),
        ],
    ),
    (
        (
            '{"nodes": {"a": {"type": "any"}, "b": {"type": "any", "dependencies": ["a"]}},\n'
            '"dependencies": {"a": ["c"], "b": ["a"], "d": []}}'
        ),
        [
            ("unknown_dependency", "/dependencies/a/0", 2, 24, ""),
            ("conflict", "/dependencies/b", 2, 30, "Keep one"),
            ("unknown_dependency", "/dependencies/d", 2, 42, ""),
        ],
    ),
    (
        '{"nodes": {"a": {"type": "any"}}, "dependencies": [["a", "b"]]}',
        [("wrong_type", "/dependencies", 1, 51, "what each node")],
    ),
    # graphs
    ('{"nodes": 5, "edges": []}', [("wrong_type", "/nodes", 1, 11, "")]),
    ('{"nodes": {"a": {"type": "any"}}, "edges": []}', [("missing_key", "", 1, 1, "visited first")]),
    (
        '{"nodes": {"a": {"type": "any"}}, "edges": [], "entry_point": "a"}',
        [("unknown_key", "/entry_point", 1, 48, '"entry"')],
    ),
    (
        (
            '{"nodes": {"a": {"type": "any", "when": "true"}, "b": {"type": "any", "x": "${{ state.x }}"}}, '
            '"entry": "aa",\n'
            '"edges": [{"from": "a", "to": "c"}, {"from": "a"}, {"from": "a", "to": "b", "condition": "stat.x"}, 5,\n'
            '{"from": "a", "to": "b", "description": 5}],\n"max_iterations": 0, "state": []}'
        ),
        [
            ("incompatible", "/nodes/a/when", 1, 33, ""),
            ("missing_key", "/edges/1", 2, 37, ""),
            ("wrong_type", "/edges/3", 2, 101, ""),
            ("wrong_type", "/edges/4/description", 3, 41, ""),
            ("bad_value", "/max_iterations", 4, 19, ""),
            ("wrong_type", "/state", 4, 31, ""),
        ],
    ),
    (
        (
            '{"nodes": {"a": {"type": "any"}, "b": {"type": "any"}}, "entry": "aa",\n'
            '"edges": [{"from": "a", "to": "c"}, {"from": "a", "to": "b", "condition": "stat.x"}], "routing": {}}'
        ),
        [
            ("unknown_dependency", "/entry", 1, 66, ""),
            ("unknown_dependency", "/edges/0/to", 2, 31, ""),
            ("expression_name", "/edges/1/condition", 2, 75, ""),
            ("unknown_key", "/routing", 2, 87, ""),
        ],
    ),
    # inside another document
    (
        '{"tasks": [{"id": "a", "type": "workflow", "workflow": {"steps": {"b": {"type": "nope"}}}}]}',
        [("unknown_type", "/tasks/0/workflow/steps/b/type", 1, 81, "")],
    ),
]
