"""Other ways to write a document, and where each feature of the five designs lives; REFERENCE.md prints both.

What stands between backquotes in the places is a name: a test looks each of them up, and runs the documents.
"""

# What is written, by the key that tasks stand under: how it looks, and what becomes of its own keys.
DIALECTS: dict[str, tuple[str, str]] = {
    "steps, an object by id": (
        """\
{"id": "greet", "steps": {"ask": {"type": "input", "input": {"data": {"name": "ann"}}},
  "shout": {"type": "process", "depends_on": ["ask"], "max_retries": 3,
    "input": {"rules": [{"type": "transform", "field": "name", "operation": "uppercase"}]}}}}""",
        (
            "`id` is the name of the workflow; `input` holds the fields of the task type. Without data of its "
            "own, a task of the types `process`, `output` and `ai` takes the outputs of those it depends on."
        ),
    ),
    "steps, a list in order": (
        """\
{"name": "order-processing", "metadata": {"owner": "order-team"}, "input_data": {"order_id": "12345"},
 "steps": [
  {"name": "total", "task_type": "data_transform", "step_order": 0, "timeout_seconds": 60,
    "config": {"transforms": [{"type": "rename", "from": "order_id", "to": "id"}]}},
  {"name": "say", "task_type": "log", "step_order": 1, "max_retries": 3,
    "config": {"message": "Processing {order_id}"}}]}""",
        (
            "`name` and `task_type` are id and type, `config` holds the fields of the task type. Tasks run in the "
            "order of `step_order`, those with the same number side by side; if none has one, as they stand. Each "
            "depends on all before it, and the types `log`, `data_transform`, `conditional`, `process` and "
            "`output` take what the run was given with the outputs of these laid over it (their field `onto`), "
            "unless they say otherwise. A run is given the parameter `input_data`, an object whose default is the "
            "key of that name, or the `params` that the document declares. `metadata` is kept with the document."
        ),
    ),
    "nodes with dependencies": (
        """\
{"nodes": [{"id": "a", "type": "print", "message": "first"},
  {"id": "b", "type": "print", "config": {"message": "second"}, "dependencies": ["a"]}]}""",
        (
            "`nodes` is a list, or an object by id; `dependencies` is `depends_on`, and may stand beside `nodes` "
            "too, as an object of lists by id. Fields of the task type stand in the node or in its `config`."
        ),
    ),
    "nodes and edges": (
        """\
{"nodes": {"add": {"type": "process", "rules": [
    {"type": "transform", "field": "value", "operation": "add", "value": 5}]},
  "say": {"type": "print", "message": "it is ${{ state.value }}"}},
 "edges": [{"from": "add", "to": "add", "condition": "state.value < 20"},
  {"from": "add", "to": "say", "condition": "state.value >= 20", "description": "far enough"}],
 "entry": "add", "state": {"value": 1}, "max_iterations": 10}""",
        (
            "A graph, walked node by node over a shared `state`: `edges`, `entry`, `state` and `max_iterations` "
            "are what `routing` of a list of tasks says. A node finds the state as its data, and what it returns "
            "changes it."
        ),
    ),
}

# Designs by title: features, and where they live.
DESIGNS: dict[str, list[tuple[str, str]]] = {
    "1. Engine of plugins": [
        ("document of `tasks` with `id`, `type`, `depends_on`", "`tasks`, `id`, `type`, `depends_on`"),
        (
            "`TASK_TYPE`, `run(task)`, `DESCRIPTION`, `VERSION`, `REQUIRED_FIELDS`, `PARAM_SCHEMA`",
            "a file in a folder of `paths.plugins`; `dropmill plugins`",
        ),
        ("plugin loader and registry", "`engine.Registry`; `GET /api/v1/plugins`"),
        ("validation, resolver, order of tasks", "`dropmill validate`, `dropmill plan`"),
        ('`task["output"]` for tasks downstream', '`task["inputs"]` of a plugin; `tasks` in expressions'),
        (
            "errors of plugins are logged; failed tasks hold back what depends on them",
            "reasons `error` and `upstream_failed`",
        ),
        ("plugins `print`, `api_call`", "task types `print`, `api_call`"),
        ("rotating logs", "`log.rotation`, `log.retention`"),
        ("retries with exponential backoff", "`retry` with `max_retries`, `delay`, `backoff`, `max_delay`"),
        ("task timeouts", "`timeout` of a task, `limits.task_timeout`"),
        ("parallel execution", "`executor.workers`, `max_parallel`"),
        ("log files per task", "`paths.logs`; `dropmill logs`"),
        ("scheduler", "`[[schedules]]`; `dropmill schedules`, `dropmill schedule`"),
    ],
    "2. Engine of graphs": [
        ("graph of nodes and edges, entry, validation", "`nodes`, `edges`, `entry`; `routing`; `dropmill validate`"),
        (
            "shared state that nodes return changes to",
            "`state` of the document; `state` in expressions; the task's data",
        ),
        ("conditions on edges, branches, cycles with a limit", "`condition`, `max_iterations`; reason `loop_limit`"),
        (
            "functions as nodes, sync or async; builder",
            "`engine.Graph.add_node`, `engine.Graph.add_edge`, `engine.Graph.set_entry`",
        ),
        (
            "visited nodes with times, duration and a snapshot of the state",
            "`dropmill show`; `GET /api/v1/runs/{run}`, each visit as a task of its own",
        ),
        (
            "registry of tools: register, get, call, list",
            "`engine.Registry.register`, `engine.Registry.get`, `engine.Registry.call`, `engine.Registry.list`",
        ),
        ("stores of graphs and runs; database", "`paths.workflows`, `paths.state`"),
        ("to and from a dict", "`engine.Graph.to_json`, `engine.Graph.from_json`"),
        (
            "`/graph/create`, `/graph/run`, `/graph/state`, `/tools`",
            "`POST /api/v1/runs`, `GET /api/v1/runs/{run}`, `GET /api/v1/plugins`",
        ),
        ("failed nodes are logged and need not end the run", "`continue_on_failure`; `GET /api/v1/runs/{run}/events`"),
        ("manual retry", "`dropmill retry`"),
        ("pipeline of data quality", "`etc/examples/data-quality.json`"),
        ("caching", "`cache`"),
        ("workflow versions", "`GET /api/v1/runs/{run}/document`"),
    ],
    "3. Engine of steps": [
        ("`steps` by id", "`steps`, `depends_on`, `max_retries`, `input`"),
        (
            "topological batches run side by side, at most so many at once",
            "`dropmill plan`, `max_parallel`, `executor.workers`",
        ),
        ("input, process, AI and output", "task types `input`, `process`, `ai`, `output`"),
        ("data passed and merged by type", "the field `merge` of `process` and `output`"),
        ("retries by the kind of error", "`retry` with `on`, `exit_codes`"),
        ("executors of one's own", "`engine.Registry.register`, `engine.task`, a file in `paths.plugins`"),
        ("`await execute_workflow(workflow)`", "`engine.execute`"),
        ("status of an execution; times, retries, use of resources", "`dropmill status`, `dropmill show`"),
    ],
    "4. Orchestrator of a DAG": [
        ("nodes and their dependencies", "`nodes`, `dependencies`"),
        ("submit, trigger, status, results", "`POST /api/v1/runs`, `GET /api/v1/runs/{run}`"),
        ("states and results that survive", "`paths.state`; states `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`"),
        (
            "queue between engine and workers, tasks not lost",
            "`executor.workers`, `limits.max_lost`; reason `worker_lost`",
        ),
        ("configuration from the environment", "`etc/dropmill.toml`; every setting can be overridden by a variable"),
        ("retries with exponential backoff, then halt", "`retry`, `fail_fast`"),
        ("conditional nodes and loops (later)", "`when`, `trigger_rule`, `loop`, `foreach`"),
        ("authentication (later)", "`api.listen`; a token in `paths.state`"),
    ],
    "5. Orchestrator on a database": [
        (
            "`name`, steps with `step_order`, `task_type`, `config`, `timeout_seconds`, `max_retries`",
            "`steps`, `step_order`, `task_type`, `config`, `timeout_seconds`, `max_retries`",
        ),
        (
            "`http_request`, `data_transform`, `delay`, `conditional`, `log`",
            "task types `http_request`, `data_transform`, `delay`, `conditional`, `log`",
        ),
        ("handlers of one's own", "`engine.Registry.register`, a file in `paths.plugins`"),
        (
            "machine of states with PENDING, RUNNING, COMPLETED, FAILED, RETRYING, CANCELLED",
            "states `PENDING`, `RUNNING`, `COMPLETED`, `FAILED`, `RETRYING`, `CANCELLED`",
        ),
        (
            "create, list and activate workflows",
            "a file in `paths.workflows`; `dropmill workflows`, `GET /api/v1/workflows`",
        ),
        (
            "trigger with `idempotency_key`, `input_data`",
            "`POST /api/v1/runs` with `idempotency_key`, `params`; `input_data`",
        ),
        (
            "status, retry, cancel, logs by level",
            (
                "`GET /api/v1/runs/{run}`, `POST /api/v1/runs/{run}/retry`, "
                "`POST /api/v1/runs/{run}/cancel`, `GET /api/v1/runs/{run}/logs`"
            ),
        ),
        ("resume from the point of failure", "`dropmill retry`"),
        ("audit trail", "`GET /api/v1/runs/{run}/events`"),
        ("health", "`GET /health`, `dropmill doctor`"),
        ("migrations", "`engine/migrations`"),
        ("backups", "`dropmill backup`"),
        ("circuit breaker for external calls", "reason `circuit_open`; settings of `http_request`"),
    ],
}
