"""Messages sent to a real HTTP server on loopback by the scheme json://."""

import json

import pytest

from plugins import notify
from tests.plugins.contract import Bad, PluginContract, try_once
from tests.plugins.direct import call
from tests.plugins.servers import serving

SECRET = "t0ken-s3cret"  # noqa: S105 -- made up
# The library imports what Python 3.13 has no more, where it is still there.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")


def target(web, path="/echo", user="u"):
    return f"json://{user}:{SECRET}@127.0.0.1:{web.port}{path}?+X-Key={SECRET}"


class TestNotify(PluginContract):
    task_type = "notify"

    @pytest.fixture
    def good(self, web):
        return {"urls": [target(web)], "body": "It is done."}

    @pytest.fixture
    def bad(self, web):
        return [
            Bad({"urls": f"nosuch://{SECRET}", "body": "x"}, "the target nosuch cannot be notified"),
            Bad({"urls": SECRET, "body": "x"}, "the target ? cannot be notified"),
            Bad({"urls": [], "body": "x"}, "urls"),
            Bad({"urls": target(web), "body": "x", "kind": "alarm"}, "kind"),
        ]


def sent(web):
    return [json.loads(seen.body) for seen in web.seen]


def test_the_message_arrives_with_its_title_and_kind(web):
    fields = {"urls": target(web), "title": "Mill", "body": "It is done: ü & \\n", "kind": "success"}
    assert call(notify, fields) == {"sent": ["json"]}
    (message,) = sent(web)
    assert (message["title"], message["message"], message["type"]) == ("Mill", "It is done: ü & \\n", "success")
    assert web.seen[0].headers["x-key"] == SECRET


def test_every_target_gets_it(web):
    with serving() as other:
        assert call(notify, {"urls": [target(web), target(other)], "body": "x"}) == {"sent": ["json", "json"]}
        assert (len(web.seen), len(other.seen)) == (1, 1)


def test_a_target_that_does_not_take_it_is_named_by_its_scheme_alone(web, capfd):
    with serving() as gone:
        pass
    urls = [target(web), target(web, "/quiet/503"), target(gone)]
    tried = try_once("notify", {"urls": urls, "body": "x"})
    assert (tried.outcome, tried.done.reason) == ("Failed", "error")
    assert tried.message == (
        "target 2 of 3 (json) did not take the message (503); target 3 of 3 (json) did not take the message; "
        "it was sent to json"
    )
    assert tried.output == {"sent": ["json"]}
    said = "".join(capfd.readouterr())
    assert SECRET not in said
    assert "127.0.0.1" not in said


def test_where_one_url_is_none_nobody_gets_it(web):
    tried = try_once("notify", {"urls": [target(web), "nosuch://x"], "body": "x"})
    assert (tried.outcome, tried.done.reason) == ("Failed", "invalid")
    assert "target 2 of 2 (nosuch)" in tried.message
    assert web.seen == []
