"""Documents whose control flow is wrong, each with every problem that has to be found in it; data alone."""


def one(**keys):
    """A document of one task."""
    return {"tasks": [{"id": "a", "type": "any", **keys}]}


def two(second, **rest):
    """A document of a task `a`, and `b`, which depends on it unless it says otherwise."""
    b = {"id": "b", "type": "any", "depends_on": ["a"], **second}
    return {"tasks": [{"id": "a", "type": "any"}, b], **rest}


def whole(**rest):
    """A document with one plain task `a`."""
    return {**one(), **rest}


def graph(routing, **second):
    """A graph of `a` and `b`."""
    return {"tasks": [{"id": "a", "type": "any"}, {"id": "b", "type": "any", **second}], "routing": routing}


def call(**fields):
    """A document of one task of type `workflow`."""
    return {"tasks": [{"id": "c", "type": "workflow", **fields}]}


def approval(**fields):
    """A document of one approval."""
    return {"tasks": [{"id": "p", "type": "approval", **fields}]}


HOOK = {"id": "h", "type": "any"}
INNER = {"tasks": [{"id": "i", "type": "any"}]}

# A document, and (code, pointer) of every problem in it, in the order of its text.
BAD = [
    # depends_on with conditions
    (two({"depends_on": [{"task": "a", "when": "tasks.a.output >"}]}),
     [("expression_syntax", "/tasks/1/depends_on/0/when")]),
    (two({"depends_on": [{"task": "a", "when": 5, "if": "x"}, {}, 7]}),
     [("wrong_type", "/tasks/1/depends_on/0/when"), ("unknown_key", "/tasks/1/depends_on/0/if"),
      ("missing_key", "/tasks/1/depends_on/1"), ("wrong_type", "/tasks/1/depends_on/2")]),
    (two({"depends_on": ["a", {"task": "a"}, {"task": "q"}]}),
     [("duplicate_dependency", "/tasks/1/depends_on/1"), ("unknown_dependency", "/tasks/1/depends_on/2")]),
    (two({"depends_on": [{"task": "a", "when": "item == 1 && tasks.b.output && tasks.z.output && params.p"}]}),
     [("expression_name", "/tasks/1/depends_on/0/when"), ("expression_reference", "/tasks/1/depends_on/0/when"),
      ("expression_param", "/tasks/1/depends_on/0/when"), ("expression_reference", "/tasks/1/depends_on/0/when")]),
    # foreach
    (one(foreach=5), [("wrong_type", "/tasks/0/foreach")]),
    (one(foreach={"a": 1}), [("missing_key", "/tasks/0/foreach")]),
    (one(foreach="params.list"), [("bad_value", "/tasks/0/foreach")]),
    (one(foreach="x${{ 1 }}"), [("bad_value", "/tasks/0/foreach")]),
    (one(foreach="${{ 1 + }}"), [("expression_syntax", "/tasks/0/foreach")]),
    (one(foreach={"items": True, "key": "", "max_parallel": 0, "require": 2, "max_paralel": 1}),
     [("wrong_type", "/tasks/0/foreach/items"), ("bad_value", "/tasks/0/foreach/key"),
      ("bad_value", "/tasks/0/foreach/max_parallel"), ("bad_value", "/tasks/0/foreach/require"),
      ("unknown_key", "/tasks/0/foreach/max_paralel")]),
    (one(foreach={"items": "no", "key": "item +"}),
     [("bad_value", "/tasks/0/foreach/items"), ("expression_syntax", "/tasks/0/foreach/key")]),
    (one(foreach={"items": ["${{ item }}", "${{ index }}"]}),
     [("expression_name", "/tasks/0/foreach/items/0"), ("expression_name", "/tasks/0/foreach/items/1")]),
    (one(foreach=["${{ tasks.a.output }}"]), [("expression_reference", "/tasks/0/foreach/0")]),
    *((one(foreach={"items": [], "require": value}), [(code, "/tasks/0/foreach/require")])
      for value, code in [("most", "bad_value"), ("101%", "bad_value"), ("x%", "bad_value"), (-0.1, "bad_value"),
                          (True, "wrong_type"), (None, "wrong_type"), ("nan%", "bad_value")]),
    (one(foreach=[1], when="item == 1", x="${{ iteration }} ${{ output }} ${{ state }}"),
     [("expression_name", "/tasks/0/when"), *[("expression_name", "/tasks/0/x")] * 3]),
    # loop
    (one(loop={}), [("missing_key", "/tasks/0/loop")]),
    (one(loop={"max_iterations": 3}), [("missing_key", "/tasks/0/loop")]),
    (one(loop={"max_iterations": 3, "until": "true", "while": "true"}), [("incompatible", "/tasks/0/loop")]),
    (one(loop=3), [("wrong_type", "/tasks/0/loop")]),
    (one(loop={"until": 1, "max_iterations": 0, "delay": "x", "backoff": 0, "max_delay": -1, "at_limit": "stop",
               "untill": "x"}),
     [("wrong_type", "/tasks/0/loop/until"), ("bad_value", "/tasks/0/loop/max_iterations"),
      ("bad_duration", "/tasks/0/loop/delay"), ("bad_value", "/tasks/0/loop/backoff"),
      ("bad_duration", "/tasks/0/loop/max_delay"), ("bad_value", "/tasks/0/loop/at_limit"),
      ("unknown_key", "/tasks/0/loop/untill")]),
    (one(loop={"until": "outptu == 1", "max_iterations": 3}), [("expression_name", "/tasks/0/loop/until")]),
    (one(loop={"while": "item == 1 && tasks.a.output == 1", "max_iterations": 3}, when="output == 1"),
     [("expression_name", "/tasks/0/loop/while"), ("expression_reference", "/tasks/0/loop/while"),
      ("expression_name", "/tasks/0/when")]),
    (one(foreach=[1], loop={"until": "true", "max_iterations": 3}), [("incompatible", "/tasks/0/loop")]),
    # pool, cache, deadline
    (one(pool=5, cache=5, deadline="soon"),
     [("wrong_type", "/tasks/0/pool"), ("wrong_type", "/tasks/0/cache"), ("bad_duration", "/tasks/0/deadline")]),
    (one(pool={"weight": 0}, cache={"key": 5, "ttl": 0, "tll": 1}, deadline={"on_miss": "kill"}),
     [("missing_key", "/tasks/0/pool"), ("bad_value", "/tasks/0/pool/weight"), ("wrong_type", "/tasks/0/cache/key"),
      ("bad_duration", "/tasks/0/cache/ttl"), ("unknown_key", "/tasks/0/cache/tll"),
      ("missing_key", "/tasks/0/deadline"), ("bad_value", "/tasks/0/deadline/on_miss")]),
    (one(pool="", cache={"key": "${{ nope }} ${{ item }}"}),
     [("bad_value", "/tasks/0/pool"), ("expression_name", "/tasks/0/cache/key"),
      ("expression_name", "/tasks/0/cache/key")]),
    (whole(defaults={"cache": {"key": "${{ tasks.a.output }}"}, "pool": [], "deadline": 0}),
     [("wrong_type", "/defaults/pool"), ("bad_duration", "/defaults/deadline")]),
    (whole(defaults={"cache": {"key": "${{ tasks.a.output }}"}}), [("expression_name", "/defaults/cache/key")]),
    # near misses
    (one(for_each=[1], dead_line=5, on_failure=[], finally_=1),
     [("near_miss", "/tasks/0/for_each"), ("near_miss", "/tasks/0/dead_line"), ("near_miss", "/tasks/0/on_failure")]),
    (one(**{"if": "true"}), [("near_miss", "/tasks/0/if")]),
    # keys of the workflow
    (whole(outputs=[], deadline=True, concurrency=3, routing=[], on_success={}, on_failure=5, on_cancel="x",
           on_fail=[], output={}),
     [("wrong_type", "/outputs"), ("bad_duration", "/deadline"), ("wrong_type", "/concurrency"),
      ("wrong_type", "/routing"), ("wrong_type", "/on_success"), ("wrong_type", "/on_failure"),
      ("wrong_type", "/on_cancel"), ("unknown_key", "/on_fail"), ("unknown_key", "/output")]),
    (whole(**{"finally": None}), [("wrong_type", "/finally")]),
    (whole(concurrency={"key": 5, "limit": 0, "policy": "wait", "max": 1}),
     [("wrong_type", "/concurrency/key"), ("bad_value", "/concurrency/limit"), ("bad_value", "/concurrency/policy"),
      ("unknown_key", "/concurrency/max")]),
    (whole(concurrency={"key": "${{ params.p }} ${{ tasks.a.output }} ${{ env.HOME }} ${{ secrets.s }} ${{"}),
     [("expression_syntax", "/concurrency/key"), ("expression_param", "/concurrency/key"),
      *[("expression_name", "/concurrency/key")] * 3]),
    (whole(outputs={"x": "${{ tasks.b.output }}", "y": ["${{ item }}"], "z": "${{ run.state }}",
                    "w": "${{ tasks.h.state }}"}, on_success=[HOOK]),
     [("expression_reference", "/outputs/x"), ("expression_name", "/outputs/y/0"), ("expression_name", "/outputs/z"),
      ("expression_reference", "/outputs/w")]),
    # hooks
    (whole(on_failure=[{"id": "a", "type": "any"}, {"id": "h", "type": "nope"}, 5], on_success=[HOOK]),
     [("duplicate_id", "/on_failure/0/id"), ("duplicate_id", "/on_failure/1/id"),
      ("unknown_type", "/on_failure/1/type"), ("wrong_type", "/on_failure/2")]),
    (whole(on_failure=[{**HOOK, "depends_on": ["a", "h", "zz"]}], **{"finally": [{"id": "f", "type": "any",
                                                                                   "depends_on": ["h"]}]}),
     [("unknown_dependency", "/on_failure/0/depends_on/0"), ("self_dependency", "/on_failure/0/depends_on/1"),
      ("unknown_dependency", "/on_failure/0/depends_on/2"), ("unknown_dependency", "/finally/0/depends_on/0")]),
    (one(x="${{ tasks.h.output }} ${{ run.failed }}", when="run.reason == null") | {"on_failure": [HOOK]},
     [("expression_reference", "/tasks/0/x"), ("expression_name", "/tasks/0/x"), ("expression_name", "/tasks/0/when")]),
    (whole(on_failure=[{**HOOK, "x": "${{ tasks.g.output }} ${{ tasks.f.output }} ${{ tasks.h.output }}"},
                       {"id": "g", "type": "any", "depends_on": ["h"]}], **{"finally": [{"id": "f", "type": "any"}]}),
     [("expression_reference", "/on_failure/0/x")] * 3),
    (whole(on_cancel=[{**HOOK, "depends_on": ["g"]}, {"id": "g", "type": "any", "depends_on": ["h"]}]),
     [("cycle", "/on_cancel/0/depends_on/0")]),
    # graphs
    (graph({}), [("missing_key", "/routing")]),
    (graph({"entry": "q", "edges": [{"from": "a", "to": "z"}, {"from": "c"}, 5], "max_iterations": 0, "state": 5}),
     [("missing_key", "/routing/edges/1"), ("wrong_type", "/routing/edges/2"), ("bad_value", "/routing/max_iterations"),
      ("wrong_type", "/routing/state")]),
    (graph({"entry": "q", "edges": [{"from": "x", "to": "z"}]}),
     [("unknown_dependency", "/routing/entry"), ("unknown_dependency", "/routing/edges/0/from"),
      ("unknown_dependency", "/routing/edges/0/to")]),
    (graph({"entry": "h"}) | {"finally": [HOOK]}, [("unknown_dependency", "/routing/entry")]),
    (graph({"entry": "a", "edges": [{"from": "a", "to": "b", "condition": "tasks.a.output > 1 && item == 1"},
                                    {"from": "a", "to": "b", "condition": "1 +"}],
            "state": {"x": "${{ tasks.a.output }}", "y": "${{ state }}"}}),
     [("expression_name", "/routing/edges/0/condition"), ("expression_name", "/routing/edges/0/condition"),
      ("expression_syntax", "/routing/edges/1/condition"), ("expression_name", "/routing/state/x"),
      ("expression_name", "/routing/state/y")]),
    (graph({"entry": "a", "state": "x"}), [("bad_value", "/routing/state")]),
    (graph({"entry": "a"}, depends_on=["a"], when="true", trigger_rule="always", foreach=[1],
           loop={"until": "true", "max_iterations": 1}),
     [("incompatible", f"/tasks/1/{key}") for key in ("depends_on", "when", "trigger_rule", "foreach", "loop")]
     + [("incompatible", "/tasks/1/loop")]),
    (graph({"entry": "a"}, x="${{ tasks.a.output }} ${{ output }}") | {"defaults": {"trigger_rule": "always"}},
     [("expression_name", "/tasks/1/x"), ("expression_reference", "/tasks/1/x"),
      ("incompatible", "/defaults/trigger_rule")]),
    # tasks of type workflow
    (call(), [("missing_field", "/tasks/0")]),
    (call(workflow=5), [("invalid_field", "/tasks/0/workflow")]),
    (call(workflow="", params=[], wait="yes", parms={}),
     [("invalid_field", "/tasks/0/workflow"), ("invalid_field", "/tasks/0/params"), ("invalid_field", "/tasks/0/wait"),
      ("invalid_field", "/tasks/0/parms")]),
    (call(workflow="w", pool="p", cache=True, isolation="process", memory_limit=1, cpu_limit=1),
     [("incompatible", f"/tasks/0/{key}") for key in ("pool", "cache", "isolation", "memory_limit", "cpu_limit")]),
    (call(workflow={}), [("missing_key", "/tasks/0/workflow")]),
    (call(workflow={"tasks": [{"id": "i", "type": "nope", "depends_on": ["c"], "x": "${{ params.p }} ${{ item }}"}],
                    "on_failure": [{"id": "i", "type": "any"}], "tsks": 1}, foreach=[1], params={"x": "${{ item + }}"}),
     [("unknown_type", "/tasks/0/workflow/tasks/0/type"),
      ("unknown_dependency", "/tasks/0/workflow/tasks/0/depends_on/0"),
      ("expression_param", "/tasks/0/workflow/tasks/0/x"), ("expression_name", "/tasks/0/workflow/tasks/0/x"),
      ("duplicate_id", "/tasks/0/workflow/on_failure/0/id"), ("unknown_key", "/tasks/0/workflow/tsks"),
      ("expression_syntax", "/tasks/0/params/x")]),
    (call(workflow={**INNER, "params": {"p": {"type": "integer"}, "q": {"type": "string"}, "r": {"default": 1}}},
          params={"p": "x", "z": 1}),
     [("param_missing", "/tasks/0/params"), ("param_invalid", "/tasks/0/params/p"),
      ("param_unknown", "/tasks/0/params/z")]),
    (call(workflow=call(workflow=call(workflow=INNER))),
     [("workflow_depth", "/tasks/0/workflow/tasks/0/workflow/tasks/0/workflow")]),
    (call(workflow=call(workflow={"tasks": [{"id": "a", "type": "any", "timeout": "x"}]})),
     [("bad_duration", "/tasks/0/workflow/tasks/0/workflow/tasks/0/timeout")]),
    # approvals
    (approval(), [("missing_field", "/tasks/0")]),
    (approval(message="", within="soon", on_timeout="accept", form=[], dta=1),
     [("invalid_field", "/tasks/0/message"), ("bad_duration", "/tasks/0/within"),
      ("invalid_field", "/tasks/0/on_timeout"), ("invalid_field", "/tasks/0/form"), ("invalid_field", "/tasks/0/dta")]),
    (approval(message="m", within=0, form={"type": "strng"}),
     [("bad_duration", "/tasks/0/within"), ("invalid_field", "/tasks/0/form")]),
    (approval(message="m", within=True, form={"$ref": "#"}),
     [("invalid_field", "/tasks/0/within"), ("invalid_field", "/tasks/0/form")]),
    (approval(message="m", form={"properties": {"n": {"type": "integer"}}, "required": ["m"]}, data={"n": "x"}),
     [("invalid_field", "/tasks/0/data"), ("invalid_field", "/tasks/0/data/n")]),
    (approval(message="m", form={"properties": {f"p{n}": {"pattern": "x"} for n in range(201)}}),
     [("bad_value", "/tasks/0/form")]),
    (approval(message="m", pool="p"), [("incompatible", "/tasks/0/pool")]),
    # secrets in what is kept
    (one(foreach={"items": "${{ [secrets.s] }}", "key": "secrets.s"}),
     [("expression_name", "/tasks/0/foreach/items"), ("expression_name", "/tasks/0/foreach/key")]),
    (whole(outputs={"s": "${{ secrets.s }}"}), [("expression_name", "/outputs/s")]),
    (call(workflow="w", params={"s": "${{ secrets.s }}"}), [("expression_name", "/tasks/0/params/s")]),
    (approval(message="${{ secrets.s }}"), [("expression_name", "/tasks/0/message")]),
    (graph({"entry": "a", "state": {"s": "${{ secrets.s }}"}}), [("expression_name", "/routing/state/s")]),
]  # fmt: skip
