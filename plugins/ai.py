"""The task type `ai`: a chat completion of a language model, as text or as data that fits a JSON Schema.

It writes the messages, judges the answer by the schema, asks again where it does not fit, and adds up tokens and cost;
`chat` speaks to the endpoint. The operator's settings are `endpoint`, `model`, `api_key`, the prices, and those of
http_request.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

import msgspec

from engine.task import fail
from plugins._parts import bounds
from plugins._parts.bounds import CONNECT_SECONDS, MAX_BYTES, Bounds, Policy, policy_of
from plugins._parts.data import DataError
from plugins._parts.reply import ExchangeError
from plugins._parts.schemas import FIELD, violations
from plugins._parts.settings import is_set, read

_logger = logging.getLogger(__name__)

TASK_TYPE = "ai"
DESCRIPTION = "Ask a language model at an OpenAI-compatible endpoint; the answer is text, or data that fits a schema."
VERSION = "1.0"
REQUIRED_FIELDS: list[str] = []

_READ_SECONDS = 300.0
_MAX_REPAIRS = 1
_PRICE: dict[str, Any] = {"type": "number", "minimum": 0}
PARAM_SCHEMA = {
    "type": "object",
    "properties": {
        "prompt": {
            "type": "string",
            "minLength": 1,
            "examples": ["Summarise the rows in one sentence."],
            "description": "What the model is asked. Either this or `messages`.",
        },
        "messages": {
            "type": "array",
            "minItems": 1,
            "items": {
                "type": "object",
                "properties": {"role": {"type": "string", "minLength": 1}, "content": {}},
                "required": ["role", "content"],
            },
            "description": "The conversation so far, as the endpoint takes it: objects with `role` and `content`.",
        },
        "system": {"type": "string", "description": "Instructions that go before everything else."},
        "endpoint": {
            "type": "string",
            "minLength": 1,
            "examples": ["https://llm.example.org/v1"],
            "description": "Base URL, the part before `/chat/completions`; without it that of the settings. Where it "
            "may lead is up to the operator, as for `http_request`.",
        },
        "model": {
            "type": "string",
            "minLength": 1,
            "description": "Name of the model; without it that of the settings.",
        },
        "api_key": {
            "type": "string",
            "description": "Key of the endpoint; take it from `secrets`. The key of the settings goes to the endpoint "
            "of the settings alone.",
        },
        "temperature": {"type": "number", "minimum": 0, "description": "How freely the model chooses its words."},
        "max_tokens": {"type": "integer", "minimum": 1, "description": "Most tokens that one answer may have."},
        "options": {
            "type": "object",
            "properties": {"stream": False, "messages": False, "model": False, "n": False},
            "description": "Further keys of the request, as the endpoint names them, such as `top_p` or `seed`.",
        },
        "data": {
            "description": "Any value, written below the prompt as JSON between `<data>` and `</data>`; inside it `<` "
            "is written as \\u003c, so that no text can end it. Without it, the outputs of the tasks it depends on, by "
            "id.",
        },
        "include_inputs": {
            "type": "boolean",
            "default": True,
            "description": "Whether the outputs of the tasks it depends on are written below the prompt, where there "
            "is no `data`.",
        },
        "schema": {
            **FIELD,
            "type": "object",
            "description": "JSON Schema of the data wanted. It is sent along, the answer is checked against it, and "
            "`data` of the output is what fits.",
        },
        "max_repairs": {
            "type": "integer",
            "minimum": 0,
            "maximum": 10,
            "default": _MAX_REPAIRS,
            "description": "How often the model is shown what does not fit the schema and asked again.",
        },
        "input_price": {**_PRICE, "description": "Price of a million tokens of what is asked; for `cost`."},
        "output_price": {**_PRICE, "description": "Price of a million tokens of what is answered; for `cost`."},
        "read_timeout": {
            "type": "number",
            "exclusiveMinimum": 0,
            "default": _READ_SECONDS,
            "description": "Seconds to wait for the endpoint's next bytes; the task's `timeout` bounds the whole.",
        },
    },
    # One of the two, said so that the problem names the field that is missing or too much.
    "if": {"not": {"required": ["messages"]}},
    "then": {"required": ["prompt"]},
    "dependentSchemas": {"prompt": {"properties": {"messages": False}}},
    "additionalProperties": False,
}
SETTINGS: dict[str, Any] = {
    "endpoint": "",
    "model": "",
    "api_key": "",
    "input_price": 0.0,
    "output_price": 0.0,
    **bounds.SETTINGS,
}

_MILLION = 1_000_000
_SHOWN_PROBLEMS = 10
_REPAIR = """\
Your answer does not fit the JSON Schema:
{problems}
Answer again with the corrected JSON alone."""


def run(task: dict[str, Any]) -> bool:
    """Ask, ask again where the answer does not fit, and set the output, also to what was spent in vain."""
    from plugins._parts.chat import Endpoint  # noqa: PLC0415 -- every worker would pay for requests at its start

    said = read(task, SETTINGS)
    url, key = _where(task, said)
    limits = Bounds(MAX_BYTES, 0, CONNECT_SECONDS, task.get("read_timeout", _READ_SECONDS))
    body = _body(task, said)
    _check_schema(task.get("schema"))
    try:
        _converse(task, said, Endpoint(url, key), body, limits)
    except ExchangeError as error:
        fail(str(error), reason=error.reason)
    return True


def _where(task: dict[str, Any], said: dict[str, Any]) -> tuple[str, str]:
    """Return the endpoint and its key; what belongs to the operator's endpoint goes to no other."""
    url = task.get("endpoint") or said["endpoint"]
    if not url:
        fail("there is no `endpoint`; give one, or let the operator set one in [plugins.ai]", reason="invalid")
    key = task.get("api_key") or ("" if task.get("endpoint") else said["api_key"])
    key = key.strip()  # a file that holds a secret ends with a line break
    if not (key.isascii() and key.isprintable()) or " " in key:
        fail("`api_key` holds spaces or characters that cannot be sent in a header", reason="invalid")
    return url, key


def _operator(task: dict[str, Any], said: dict[str, Any]) -> Policy:
    operator = policy_of(task, said)
    if task.get("endpoint"):
        return operator
    # Whoever sets an endpoint on a private address has allowed it by that.
    return operator._replace(allowed_hosts=operator.allowed_hosts | {_host_of(said["endpoint"])})


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _body(task: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    model = task.get("model") or said["model"]
    if not model:
        fail("there is no `model`; name one, or let the operator set one in [plugins.ai]", reason="invalid")
    body = {**(task.get("options") or {}), "model": model, "messages": _messages(task)}
    body |= {name: task[name] for name in ("temperature", "max_tokens") if name in task}
    if "schema" in task:
        described = {"name": "output", "schema": task["schema"]}
        body["response_format"] = {"type": "json_schema", "json_schema": described}
    return body


def _messages(task: dict[str, Any]) -> list[dict[str, Any]]:
    if ("prompt" in task) == ("messages" in task):
        fail("give either `prompt` or `messages`", reason="invalid")
    given = task["messages"] if "messages" in task else [{"role": "user", "content": task["prompt"]}]
    messages = [{"role": "system", "content": task["system"]}] if task.get("system") else []
    messages += given
    block = _block(task)
    last = messages[-1]
    if block and last["role"] == "user" and isinstance(last["content"], str):
        messages[-1] = {**last, "content": f"{last['content']}\n\n{block}"}
    elif block:
        messages.append({"role": "user", "content": block})
    return messages


def _block(task: dict[str, Any]) -> str:
    if "data" in task:
        value = task["data"]
    elif task.get("inputs") and task.get("include_inputs", True):
        value = task["inputs"]
    else:
        return ""
    return f"<data>\n{msgspec.json.encode(value).decode().replace('<', chr(92) + 'u003c')}\n</data>"


def _check_schema(schema: Any) -> None:
    if schema is not None:
        try:
            violations(schema, None)
        except DataError as error:
            fail(f"`schema`: {error}", reason="invalid")


def _converse(task: dict[str, Any], said: dict[str, Any], endpoint: Any, body: dict[str, Any], limits: Bounds) -> None:
    """Ask until the answer fits or no repair is left; the task's output grows with each round."""
    from plugins._parts.chat import ask  # noqa: PLC0415 -- see `run`

    operator, messages = _operator(task, said), body["messages"]
    usage = {"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}
    rounds, problems = 0, [""]
    while problems:
        if rounds > task.get("max_repairs", _MAX_REPAIRS):
            fail(f"after {_times(rounds)} the answer does not fit the schema: {'; '.join(problems[:_SHOWN_PROBLEMS])}")
        if rounds:
            complaint = _REPAIR.format(problems="\n".join(f"- {problem}" for problem in problems[:_SHOWN_PROBLEMS]))
            said_so_far = {"role": "assistant", "content": task["output"]["text"]}
            messages = [*body["messages"], said_so_far, {"role": "user", "content": complaint}]
        answer = ask(endpoint, {**body, "messages": messages}, limits, operator)
        rounds += 1
        usage = {name: spent + getattr(answer, name) for name, spent in usage.items()}
        output = {"text": answer.text, "model": answer.model, "finish_reason": answer.finish_reason}
        task["output"] = output | {"usage": usage, "cost": _cost(task, said, usage), "rounds": rounds}
        if answer.finish_reason not in {"stop", None}:
            _logger.warning("the answer ended early: %s", answer.finish_reason)
        problems = _judge(task, answer.text) if "schema" in task else []
    _logger.info("%s: %s, %s tokens", task["output"]["model"], _times(rounds), usage["total_tokens"])


def _judge(task: dict[str, Any], text: str) -> list[str]:
    """Keep the data of an answer that fits, or list what does not."""
    try:
        data = msgspec.json.decode(_bare(text))
    except (ValueError, RecursionError) as error:
        return [f"it is not JSON: {error}"]
    problems = violations(task["schema"], data)
    if not problems:
        task["output"]["data"] = data
    return problems


def _bare(text: str) -> str:
    """Take off the fence that models like to put around JSON."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```"):
        return stripped[3:-3].partition("\n")[2]
    return stripped


def _cost(task: dict[str, Any], said: dict[str, Any], usage: dict[str, int]) -> float | None:
    """Work out the price; None where nobody said what tokens cost."""
    names = ("input_price", "output_price")
    if not any(name in task or is_set(task, name) for name in names):
        return None
    of_input, of_output = (float(task.get(name, said[name])) for name in names)
    return round((usage["input_tokens"] * of_input + usage["output_tokens"] * of_output) / _MILLION, 12)


def _times(rounds: int) -> str:
    return "1 round" if rounds == 1 else f"{rounds} rounds"
