"""What every built-in task type keeps. A plugin's tests inherit `PluginContract`, say `task_type` and override `good`.

    class TestPrint(PluginContract):
        task_type = "print"

        @pytest.fixture
        def good(self):
            return {"message": "hi"}

Further tests of the plugin call the fixture `attempt`: one attempt through the real registry and the real runner.
"""

import ast
import inspect
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple

import msgspec
import pytest

from engine.limits import Limits
from engine.messages import Dispatch, Done
from engine.registry import Registry
from engine.runner import Runner
from engine.task import HANDED_FIELDS, RESERVED_FIELDS
from tests.rules.source import ROOT
from tests.rules.test_weight import HEAVY, loaded_by

MAY_IMPORT = {"engine.task", "engine.errors"}


class Bad(NamedTuple):
    """Fields that the plugin refuses or fails with, and words that its message must hold."""

    fields: dict[str, Any]
    words: str


class Attempt(NamedTuple):
    """How one attempt ended; `output` is decoded (the memo, when it was deferred)."""

    done: Done

    @property
    def outcome(self) -> str:
        """Return the name of the fact it becomes: `Succeeded`, `Failed`, `Broke` or `Deferred`."""
        return self.done.outcome

    @property
    def output(self) -> Any:
        """Return the output as the next task sees it."""
        return msgspec.json.decode(self.done.output)

    @property
    def message(self) -> str:
        """Return the sentence a person reads."""
        return self.done.message


def try_once(  # noqa: PLR0913 -- what an attempt is made of, by name
    task_type: str,
    fields: Mapping[str, Any],
    *,
    inputs: Mapping[str, Any] | None = None,
    memo: Any = None,
    settings: Mapping[str, Any] | None = None,
    secrets: tuple[str, ...] = (),
    attempt: int = 1,
    origin: str = "",
) -> Attempt:
    """Make one attempt of a built-in task type through the registry and the runner; it logs to stderr (`capfd`)."""
    registry = Registry()
    registry.load()
    runner = Runner(registry, {task_type: dict(settings or {})}, Limits())
    done = runner.run(
        Dispatch(
            seq=1,
            run="01hx3v9q8e7w6r5t4y3z2k1m0n",
            task="tried",
            attempt=attempt,
            type=task_type,
            fields=msgspec.json.encode(dict(fields)),
            inputs={task: msgspec.json.encode(value) for task, value in (inputs or {}).items()},
            memo=msgspec.json.encode(memo),
            secrets=secrets,
            origin=origin,
        )
    )
    return Attempt(done)


def surroundings() -> dict[str, Any]:
    """Take a picture of what a plugin shares with the next one in its process."""
    mask = os.umask(0o022)
    os.umask(mask)
    return {
        "environment": {key: value for key, value in os.environ.items() if not key.startswith("DROPMILL_")},
        "working directory": os.getcwd(),  # noqa: PTH109 -- the text is compared, not used
        "umask": mask,
        "sys.path": list(sys.path),
        "log handlers": list(logging.getLogger().handlers),
        "log level": logging.getLogger().level,
    }


class PluginContract:
    """Hold a built-in task type to the contract of DESIGN section 4.2 and to what people expect of a built-in one."""

    task_type: ClassVar[str]
    settings: ClassVar[dict[str, Any]] = {}
    takes_any_field: ClassVar[bool] = False

    @pytest.fixture
    def good(self) -> dict[str, Any]:
        """Return fields with which an attempt succeeds (or defers itself); override."""
        raise NotImplementedError

    @pytest.fixture
    def bad(self) -> list[Bad]:
        """Return fields that fail, each with words of the message; override where there are any."""
        return []

    @pytest.fixture
    def attempt(self) -> Callable[..., Attempt]:
        """Return `attempt(fields, inputs=…, memo=…, settings=…, secrets=…, origin=…)`."""

        def attempt(fields: Mapping[str, Any], **more: Any) -> Attempt:
            return try_once(self.task_type, fields, **{"settings": self.settings, **more})

        return attempt

    @pytest.fixture
    def entry(self) -> dict[str, Any]:
        """Return what the registry keeps of it."""
        registry = Registry()
        registry.load()
        return registry.tasks[self.task_type]

    @pytest.fixture
    def schema(self, entry) -> dict[str, Any]:
        """Return its PARAM_SCHEMA."""
        return entry["param_schema"] or {}

    def test_it_stands_in_a_file_of_its_name(self):
        assert (ROOT / "plugins" / f"{self.task_type}.py").is_file()

    def test_the_registry_keeps_exactly_the_five_keys(self, entry):
        assert set(entry) == {"run", "description", "version", "required_fields", "param_schema"}

    def test_it_takes_one_task(self, entry):
        assert inspect.signature(entry["run"]).bind({"id": "a"}).args

    def test_it_says_what_it_does_in_one_line_and_which_version_it_is(self, entry):
        assert entry["description"].strip()
        assert "\n" not in entry["description"]
        assert entry["version"].strip()

    def test_every_field_is_described(self, schema):
        assert schema.get("type") == "object"
        undescribed = [name for name, field in schema.get("properties", {}).items() if not field.get("description")]
        assert undescribed == []

    def test_every_required_field_is_a_described_one_and_the_schema_agrees(self, entry, schema):
        assert set(entry["required_fields"]) <= set(schema.get("properties", {}))
        assert set(schema.get("required", [])) <= set(entry["required_fields"])

    def test_none_of_its_fields_has_a_name_of_the_engine(self, entry, schema):
        assert {*entry["required_fields"], *schema.get("properties", {})} & (RESERVED_FIELDS | HANDED_FIELDS) == set()

    def test_it_imports_nothing_of_ours_but_the_contract(self):
        tree = ast.parse((ROOT / "plugins" / f"{self.task_type}.py").read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        ours = {name for name in names if name.partition(".")[0] in {"engine", "daemon"}}
        assert ours <= MAY_IMPORT

    def test_a_fresh_process_imports_it_without_a_heavy_library(self):
        assert loaded_by(f"plugins.{self.task_type}") & HEAVY == set()

    def test_it_succeeds_with_good_fields(self, attempt, good):
        tried = attempt(good)
        assert tried.outcome in {"Succeeded", "Deferred"}, tried.message

    def test_its_output_is_json_that_comes_back_equal(self, attempt, good):
        output = attempt(good).output
        assert json.loads(json.dumps(output, allow_nan=False)) == output

    def test_it_leaves_its_process_as_it_was(self, attempt, good):
        before = surroundings()
        attempt(good)
        assert surroundings() == before

    def test_a_missing_required_field_is_named_before_it_is_called(self, attempt, good, entry):
        for name in entry["required_fields"]:
            tried = attempt({key: value for key, value in good.items() if key != name})
            assert (tried.outcome, tried.done.reason) == ("Failed", "invalid")
            assert name in tried.message

    def test_a_field_of_the_wrong_type_is_named_before_it_is_called(self, attempt, good, schema):
        typed = [name for name, field in schema.get("properties", {}).items() if isinstance(field.get("type"), str)]
        for name in typed:
            wrong: Any = 1 if schema["properties"][name]["type"] in {"array", "object", "string", "boolean"} else {}
            tried = attempt({**good, name: wrong})
            assert (tried.outcome, tried.done.reason) == ("Failed", "invalid"), f"{name} = {wrong!r} was taken"
            assert name in tried.message

    def test_a_field_it_does_not_know_is_refused(self, attempt, good):
        tried = attempt({**good, "no_such_field": 1})
        if self.takes_any_field:
            assert tried.done.reason != "invalid"
        else:
            assert (tried.outcome, tried.done.reason) == ("Failed", "invalid")
            assert "no_such_field" in tried.message

    def test_bad_fields_fail_with_a_sentence_and_without_a_traceback(self, attempt, bad, capfd):
        for fields, words in bad:
            tried = attempt(fields)
            assert tried.outcome == "Failed", f"{fields} -> {tried.outcome}"
            assert words in tried.message
        assert "Traceback" not in capfd.readouterr().err
