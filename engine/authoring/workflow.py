"""A workflow written in Python, task by task: `@workflow.task` over a function, or `workflow.add` for any task type."""

import asyncio
import copy
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Self, TypeVar, overload

from engine import library
from engine.authoring.functions import Function, Functions, parameters_of
from engine.registry import Registry
from engine.registry.signature import HANDED_PARAMETERS
from engine.views import RunView

F = TypeVar("F", bound=Function)

_HOOKS = ("on_success", "on_failure", "on_cancel", "finally")


class Workflow:
    """Gather tasks into a document.

    `settings` are the other keys of a document (`timeout`, `max_parallel`, `outputs`, ...). Two workflows are equal if
    their documents are.
    """

    def __init__(
        self, name: str, *, params: Mapping[str, Any] | None = None, registry: Registry | None = None, **settings: Any
    ) -> None:
        """Start without tasks; functions become task types of `registry`, or of one of its own."""
        self._document: dict[str, Any] = {"name": name, **settings}
        if params:
            self._document["params"] = dict(params)
        self._document["tasks"] = []
        self._functions = Functions(registry)

    @property
    def registry(self) -> Registry:
        """The task types that its functions are."""
        return self._functions.registry

    @property
    def document(self) -> dict[str, Any]:
        """The document as it is now, a copy."""
        return copy.deepcopy(self._document)

    def add(
        self,
        id: str,  # noqa: A002 -- the word of the document
        type: str | Function,  # noqa: A002 -- likewise
        *,
        depends_on: Iterable[str | Mapping[str, str]] | None = None,
        hook: str | None = None,
        **keys: Any,
    ) -> Self:
        """Add a task: a task type by name, or a function; `keys` are its other keys and its fields.

        A parameter of a function that has the name of a task before it receives the output of that task, and without
        `depends_on` depends on it. `hook` puts it into `on_success`, `on_failure`, `on_cancel` or `finally`. Raises
        ValueError for a function that cannot be a task type, and for a hook that there is not.
        """
        if hook is not None and hook not in _HOOKS:
            raise ValueError(f"there is no hook {hook!r}; there are {', '.join(_HOOKS)}")
        members = self._document["tasks"] if hook is None else self._document.setdefault(hook, [])
        entry: dict[str, Any] = {"id": id, "type": type if isinstance(type, str) else self._functions.type_of(type)}
        if not isinstance(type, str):
            wanted = self._fed_by(type, members, keys)
            keys = {name: f'${{{{ tasks["{name}"].output }}}}' for name in wanted} | keys
            depends_on = wanted if depends_on is None else depends_on
        if depends_on:
            entry["depends_on"] = list(depends_on)
        members.append(entry | keys)
        return self

    @overload
    def task(self, function: F, /) -> F: ...

    @overload
    def task(self, /, **keys: Any) -> Callable[[F], F]: ...

    def task(self, function: F | None = None, /, **keys: Any) -> F | Callable[[F], F]:
        """Make the function below a task, named after it unless `id` says otherwise; the function is unchanged."""

        def mark(marked: F) -> F:
            rest = dict(keys)
            self.add(rest.pop("id", marked.__name__), marked, **rest)
            return marked

        return mark if function is None else mark(function)

    def to_json(self) -> str:
        """Return the document as JSON text, for a file; the functions are task types by name there."""
        return json.dumps(self._document, ensure_ascii=False, indent=2) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes, registry: Registry | None = None) -> Self:
        """Make it again out of such a text; `registry` has the functions."""
        document = json.loads(text)
        made = cls(document.get("name", "unnamed"), registry=registry)
        made._document = document
        return made

    def run(self, params: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
        """Run it to its end; the arguments and errors of `engine.run`."""
        return library.run(self._document, params, registry=self.registry, **choices)

    async def execute(self, params: Mapping[str, Any] | None = None, **choices: Any) -> RunView:
        """Run it without blocking the event loop."""
        return await asyncio.to_thread(self.run, params, **choices)

    def __eq__(self, other: object) -> bool:
        """Compare documents."""
        return isinstance(other, Workflow) and self._document == other._document

    __hash__ = None  # type: ignore[assignment]  # it changes

    @staticmethod
    def _fed_by(function: Function, before: Iterable[Mapping[str, Any]], given: Mapping[str, Any]) -> list[str]:
        known = {task["id"] for task in before}
        return [
            name
            for name in parameters_of(function)
            if name in known and name not in given and name not in HANDED_PARAMETERS
        ]
