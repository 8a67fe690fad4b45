"""A setting of the operator that is not understood is never taken for one that was not made."""

from types import ModuleType
from typing import Any

import pytest

from plugins import api_call, http_request, python, shell
from plugins._parts.settings import Seconds, read
from tests.plugins.direct import call, refusal

FIELDS: dict[ModuleType, dict[str, Any]] = {
    http_request: {"url": "http://127.0.0.1:1/"},
    api_call: {"url": "http://127.0.0.1:1/"},
    shell: {"argv": ["true"]},
    python: {"function": "a.b"},
}


@pytest.mark.parametrize("plugin", FIELDS, ids=lambda plugin: plugin.TASK_TYPE)
def test_a_setting_that_does_not_exist_is_named_with_those_that_do(plugin):
    message = refusal(plugin, FIELDS[plugin], settings={"deny_privat": True})
    assert f"[plugins.{plugin.TASK_TYPE}]" in message
    assert "'deny_privat' is no setting; there are " in message


@pytest.mark.parametrize(
    ("plugin", "name", "value", "words"),
    [
        (shell, "allow_command", "false", "true or false"),
        (shell, "allow_command", 1, "true or false"),
        (shell, "inherit", "PATH", "a list of texts"),
        (shell, "inherit", [1], "a list of texts"),
        (python, "folders", "/srv", "a list of texts"),
        (http_request, "deny_private", "no", "true or false"),
        (http_request, "allowed_hosts", "localhost", "a list of texts"),
        (api_call, "allow_unverified", 0, "true or false"),
    ],
)
def test_a_setting_of_another_type_is_refused(plugin, name, value, words):
    message = refusal(plugin, FIELDS[plugin], settings={name: value})
    assert f"`{name}` is {value!r}; it has to be {words}" in message


def test_what_is_not_set_is_the_default():
    assert call(shell, {"argv": ["true"]}, settings={}) == ""


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("failures", "3", "a whole number"),
        ("failures", -1, "a whole number"),
        ("failures", True, "a whole number"),
        ("cool_down", "a while", 'a text such as "30s"'),
        ("cool_down", -1, "a number of seconds"),
        ("circuit_folder", 1, "a text"),
    ],
)
def test_a_number_a_text_and_a_time_are_checked_too(name, value, words):
    message = refusal(http_request, FIELDS[http_request], settings={name: value})
    assert f"`{name}` is {value!r}; it has to be " in message
    assert words in message


@pytest.mark.parametrize(("value", "seconds"), [(3, 3.0), (0.5, 0.5), ("250ms", 0.25), ("1h30m", 5400.0)])
def test_a_time_is_a_number_of_seconds_or_a_duration(value, seconds):
    task = {"type": "t", "settings": {"wait": value}}
    assert read(task, {"wait": Seconds(1)}) == {"wait": seconds}
    assert type(read({"type": "t"}, {"wait": Seconds(1)})["wait"]) is float
