import logging

import pytest

from plugins import log
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call


class TestLog(PluginContract):
    task_type = "log"

    @pytest.fixture
    def good(self):
        return {"message": "Processing {order_id}", "level": "warning", "data": {"order_id": 7}}

    @pytest.fixture
    def bad(self):
        return [Bad({"message": "x", "level": "loud"}, "level")]

    def test_the_line_lands_in_the_log_and_is_the_output(self, attempt, capfd):
        tried = attempt({"message": "Processing {order_id}"}, inputs={"order": {"order_id": "A-1"}})
        assert tried.output == "Processing A-1"
        assert "Processing A-1" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("message", "line"),
    [
        ("{order_id}", "7"),
        ("{order_id} and {order_id}", "7 and 7"),
        ("{name}", "Ann"),
        ("{order}", '{"order_id":7,"name":"Ann"}'),
        ("{my-list}", "[1,2]"),
        ("{nowhere}", "{nowhere}"),
        ("{order.order_id}", "{order.order_id}"),
        ("{order.__class__} {0} {} {{name}}", "{order.__class__} {0} {} {Ann}"),
        ("%s %d", "%s %d"),
        ("{trap}", "{name}"),
    ],
)
def test_names_in_braces_are_replaced_once_and_only_where_they_exist(message, line):
    inputs = {"order": {"order_id": 7, "name": "Ann"}, "my-list": [1, 2], "more": {"trap": "{name}"}}
    assert call(log, {"message": message}, inputs=inputs) == line


def test_data_goes_before_inputs_and_an_inner_name_before_a_task():
    inputs = {"a": {"b": "inner"}, "b": "task"}
    assert call(log, {"message": "{b}"}, inputs=inputs) == "inner"
    assert call(log, {"message": "{b}", "data": {"b": "data"}}, inputs=inputs) == "data"


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error", "critical"])
def test_each_level_reaches_logging_with_the_data_behind_the_line(caplog, level):
    caplog.set_level(logging.DEBUG)
    call(log, {"message": "hi", "level": level, "data": {"n": 1}})
    assert [(record.levelname.lower(), record.getMessage()) for record in caplog.records] == [(level, 'hi {"n":1}')]
