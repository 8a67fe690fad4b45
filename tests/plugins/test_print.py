import pytest

from tests.plugins.contract import PluginContract


class TestPrint(PluginContract):
    task_type = "print"

    @pytest.fixture
    def good(self):
        return {"message": "hi"}

    def test_text_is_printed_as_it_is_and_handed_on(self, attempt, capfd):
        tried = attempt({"message": 'two\nlines of "text"'})
        assert tried.output == 'two\nlines of "text"'
        assert 'two\nlines of "text"\n' in capfd.readouterr().out

    @pytest.mark.parametrize(
        ("message", "line"),
        [({"a": [1, None, "ä"]}, '{"a":[1,null,"ä"]}'), (None, "null"), (0, "0"), (False, "false"), ([], "[]")],
    )
    def test_any_other_value_is_printed_as_json_and_keeps_its_type(self, attempt, capfd, message, line):
        assert attempt({"message": message}).output == message
        assert f"{line}\n" in capfd.readouterr().out

    def test_empty_text_says_nothing(self, attempt, capfd):
        tried = attempt({"message": ""})
        assert (tried.outcome, tried.output) == ("Succeeded", "")
        assert capfd.readouterr().out == ""
