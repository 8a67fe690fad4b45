import base64

import pytest

from plugins import api_call
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call
from tests.plugins.servers import serving


class TestApiCall(PluginContract):
    task_type = "api_call"

    @pytest.fixture
    def good(self, web):
        return {"url": web.url("/echo"), "method": "post", "params": {"json": {"a": 1}}}

    @pytest.fixture
    def bad(self, web):
        return [
            Bad({"url": web.url("/status/404")}, "answered 404 Not Found"),
            Bad({"url": web.url("/plain/x")}, "is not JSON"),
            Bad({"url": web.url("/echo"), "params": {"stream": True}}, "stream"),
            Bad({"url": web.url("/echo"), "params": {"proxies": {}}}, "proxies"),
            Bad({"url": web.url("/echo"), "params": {"auth": ["u"]}}, "auth"),
        ]

    def test_the_settings_of_the_operator_hold(self, attempt, web):
        tried = attempt({"url": web.url("/echo")}, settings={"deny_private": True})
        assert "127.0.0.1 is not a public address" in tried.message
        assert web.seen == []


def get(url, **params):
    return call(api_call, {"url": url, "params": params})


def is_refused(caplog, url, **params):
    """Call it, which must return False, and return what it logged."""
    caplog.clear()
    task = {"id": "tried", "type": "api_call", "url": url, "params": params, "inputs": {}, "settings": {}}
    assert api_call.run(task) is False
    assert "output" not in task
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.exc_info is None
    return record.getMessage()


def test_without_arguments_it_gets_json(web):
    assert call(api_call, {"url": web.url("/echo")})["method"] == "GET"


def test_arguments_are_those_of_requests(web):
    asked = get(
        web.url("/echo"),
        params={"q": ["a", "b"]},
        headers={"X-A": "1"},
        auth=["u", "p"],
        cookies={"c": "d"},
        timeout=5,
    )
    assert asked["query"] == {"q": ["a", "b"]}
    assert (asked["headers"]["x-a"], asked["headers"]["cookie"]) == ("1", "c=d")
    assert asked["headers"]["authorization"] == f"Basic {base64.b64encode(b'u:p').decode()}"


@pytest.mark.parametrize(
    ("params", "body"),
    [({"json": {"a": 1}}, '{"a": 1}'), ({"data": {"a": "b c"}}, "a=b+c"), ({"data": "räw"}, "räw")],
)
def test_a_body_arrives(web, params, body):
    assert call(api_call, {"url": web.url("/echo"), "method": "POST", "params": params})["body"] == body


def test_it_logs_what_went_wrong_and_returns_false(web, caplog):
    assert is_refused(caplog, web.url("/status/500")).startswith("API call failed: GET ")
    assert "is not JSON" in is_refused(caplog, web.url("/latin"))
    assert "sent nothing for 0.05 s" in is_refused(caplog, web.url("/silent"), timeout=[5, 0.05])
    assert "allow_unverified" in is_refused(caplog, web.url("/echo"), verify=False)
    assert "answered 302" not in is_refused(caplog, web.url("/loop"))
    with serving() as gone:
        url = gone.url("/")
    assert "Connection refused" in is_refused(caplog, url)


def test_redirects_are_followed_unless_told_otherwise(web, caplog):
    assert get(web.url("/redirect/2"))["path"] == "/echo"
    assert "is not JSON" in is_refused(caplog, web.url("/redirect/2"), allow_redirects=False)
    assert [seen.path for seen in web.seen] == ["/redirect/2", "/redirect/1", "/echo", "/redirect/2"]
