"""Real exchanges with a real server that behaves as badly as the world does."""

import base64
import socket
import tracemalloc

import pytest

from plugins import http_request
from plugins._parts import exchange
from tests.plugins.contract import Bad, PluginContract
from tests.plugins.direct import call, refusal
from tests.plugins.servers import BOMB_BYTES, bomb, serving

MIB = 1024 * 1024


class TestHttpRequest(PluginContract):
    task_type = "http_request"

    @pytest.fixture
    def good(self, web):
        return {"url": web.url("/echo"), "method": "POST", "json": {"a": [1]}, "expect_status": ["2xx", 304]}

    @pytest.fixture
    def bad(self, web):
        url = web.url("/echo")
        return [
            Bad({"url": web.url("/status/503")}, "answered 503 Service Unavailable: because of reasons"),
            Bad({"url": "ftp://localhost/"}, "is not an http or https URL"),
            Bad({"url": url, "json": 1, "body": "x"}, "body"),
            Bad({"url": url, "json": 1, "form": {}}, "form"),
            Bad({"url": url, "auth": {"username": "u"}}, "auth"),
            Bad({"url": url, "expect_status": "7xx"}, "expect_status"),
            Bad({"url": url, "verify": False}, "allow_unverified"),
        ]

    def test_the_settings_of_the_operator_hold(self, attempt, web):
        tried = attempt({"url": web.url("/echo")}, settings={"deny_private": True})
        assert "127.0.0.1 is not a public address" in tried.message
        assert web.seen == []


def get(url, **fields):
    return call(http_request, {"url": url, **fields})


def failure(url, settings=None, **fields):
    return refusal(http_request, {"url": url, **fields}, settings=settings)


def test_the_query_the_headers_and_the_method_arrive(web):
    asked = get(
        web.url("/echo?a=1"),
        method="put",
        params={"b": [1, True], "c": None, "d": "ä &"},
        headers={"X-Count": 3, "X-True": True, "X-Text": "ok"},
    )
    assert (asked["method"], asked["query"]) == ("PUT", {"a": ["1"], "b": ["1", "true"], "d": ["ä &"]})
    assert {name: asked["headers"][f"x-{name}"] for name in ("count", "true", "text")} == {
        "count": "3",
        "true": "true",
        "text": "ok",
    }


@pytest.mark.parametrize(
    ("fields", "body", "kind"),
    [
        ({"json": {"a": "ä"}}, '{"a":"ä"}', "application/json"),
        ({"json": None}, "null", "application/json"),
        ({"json": 1, "headers": {"content-type": "application/x+json"}}, "1", "application/x+json"),
        ({"body": "räw"}, "räw", None),
        ({"body": {"a": 1}}, '{"a":1}', "application/json"),
        ({"form": {"a": 1, "b": ["x", "ä"]}}, "a=1&b=x&b=%C3%A4", "application/x-www-form-urlencoded"),
    ],
)
def test_a_body_is_json_text_or_a_form(web, fields, body, kind):
    asked = get(web.url("/echo"), method="POST", **fields)
    assert (asked["body"], asked["headers"].get("content-type")) == (body, kind)


def test_there_is_one_body_at_most(web):
    assert "give one of json, form" in failure(web.url("/echo"), json=1, form={})


def test_credentials_are_sent_as_asked(web):
    bearer = get(web.url("/echo"), auth={"bearer": "t0ken"})["headers"]["authorization"]
    basic = get(web.url("/echo"), auth={"username": "u", "password": "pä:s"})["headers"]["authorization"]
    assert bearer == "Bearer t0ken"
    assert base64.b64decode(basic.removeprefix("Basic ")).decode() == "u:pä:s"


@pytest.mark.parametrize(
    ("path", "response", "output"),
    [
        ('/json/{"a":1}', "auto", {"a": 1}),
        ("/marked", "auto", {"a": 1}),
        ("/plain/x", "auto", "you said x"),
        ("/plain/x", "text", "you said x"),
        ("/json/[1]", "text", "[1]"),
        ("/latin", "auto", "Käse"),
        ("/broken_text", "auto", "K\N{REPLACEMENT CHARACTER}se"),
        ("/packed/hello", "auto", "hello"),
        ("/quiet/204", "auto", ""),
        ("/binary", "none", None),
        ("/json/", "auto", None),
    ],
)
def test_the_output_is_the_body_as_asked_for(web, path, response, output):
    assert get(web.url(path), response=response) == output


def test_bytes_that_are_no_text_are_replaced_and_the_log_says_so(web, caplog):
    get(web.url("/broken_text"))
    assert "were replaced" in caplog.text


def test_a_full_response_holds_everything_and_no_password(web):
    output = get(web.url("/to/303?url=/echo", host="u:p@127.0.0.1"), method="POST", response="full")
    assert (output["status"], output["url"], output["body"]["method"]) == (200, web.url("/echo"), "GET")
    assert output["headers"]["content-type"] == "application/json"
    assert output["seconds"] > 0


@pytest.mark.parametrize(
    ("path", "response", "words"),
    [
        ("/plain/x", "json", "(10 bytes, no content type) is not JSON: "),
        ("/json/NaN", "auto", "is not JSON"),
        ("/json/{", "auto", "is not JSON"),
        ("/deep", "auto", "is not JSON"),
        ("/latin", "json", "is not JSON"),
        ("/binary", "auto", "(6 bytes, image/png) is not text"),
        ("/unknown_charset", "auto", "charset that is not known: klingon"),
    ],
)
def test_a_body_that_is_not_what_was_asked_for_is_a_failure(web, path, response, words):
    assert words in failure(web.url(path), response=response)


@pytest.mark.parametrize(
    ("status", "expect_status", "is_fine"),
    [
        (200, None, True),
        (204, None, True),
        (404, None, False),
        (404, 404, True),
        (404, "4xx", True),
        (404, ["2xx", 404], True),
        (200, 404, False),
        (200, ["201", 202], False),
        (503, ["2xx", "4xx"], False),
    ],
)
def test_the_status_decides_over_success(web, status, expect_status, is_fine):
    fields = {} if expect_status is None else {"expect_status": expect_status}
    url = web.url(f"/quiet/{status}")
    if is_fine:
        assert get(url, **fields) == ""
    else:
        assert f"answered {status}" in failure(url, **fields)


def test_of_an_unexpected_answer_the_beginning_is_quoted(web):
    message = failure(web.url("/sized/100000"), expect_status=404)
    assert message.endswith(": " + "x" * 500)


class TestRedirects:
    def test_five_are_followed(self, web):
        assert get(web.url("/redirect/5"))["path"] == "/echo"
        assert "more than 5 redirects" in failure(web.url("/redirect/6"))
        assert get(web.url("/redirect/6"), max_redirects=6)["path"] == "/echo"

    def test_a_loop_ends(self, web):
        assert "more than 5 redirects; the last led to" in failure(web.url("/loop"))
        assert len(web.seen) == 6

    def test_with_none_allowed_a_redirect_is_an_answer(self, web):
        output = get(web.url("/redirect/1"), max_redirects=0, expect_status="3xx", response="full")
        assert (output["status"], output["headers"]["location"]) == (302, "/echo")
        assert "answered 302" in failure(web.url("/redirect/1"), max_redirects=0)

    @pytest.mark.parametrize(
        ("status", "method", "then", "body"),
        [
            (301, "POST", "GET", ""),
            (302, "POST", "GET", ""),
            (303, "PUT", "GET", ""),
            (303, "HEAD", "HEAD", ""),
            (302, "PUT", "PUT", "1"),
            (307, "POST", "POST", "1"),
            (308, "DELETE", "DELETE", "1"),
        ],
    )
    def test_the_method_changes_as_in_browsers(self, web, status, method, then, body):
        fields = {} if method == "HEAD" else {"json": 1}
        get(web.url(f"/to/{status}?url=/echo"), method=method, response="none", **fields)
        last = web.seen[-1]
        assert (last.method, last.body.decode()) == (then, body)
        assert ("content-type" in last.headers) is bool(body)

    def test_cookies_that_a_redirect_sets_are_sent_on(self, web):
        assert get(web.url("/cookie"))["headers"]["cookie"] == "seen=yes"

    def test_credentials_stay_with_their_host(self, web):
        with serving() as other:
            for auth in ({"bearer": "t"}, {"username": "u", "password": "p"}):
                get(web.url("/to?url=/echo"), auth=auth)
                assert "authorization" in web.seen[-1].headers
                get(web.url(f"/to?url={other.url('/echo', 'localhost')}"), auth=auth, headers={"Cookie": "a=b"})
                assert {"authorization", "cookie"} & set(other.seen[-1].headers) == set()

    def test_the_host_header_follows_the_redirect(self, web):
        get(web.url("/to?url=/echo"), headers={"Host": "elsewhere.example"})
        assert web.seen[0].headers["host"] == "elsewhere.example"
        assert web.seen[1].headers["host"] == f"127.0.0.1:{web.port}"

    @pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://localhost/", "javascript:alert(1)", "mailto:a@b"])
    def test_only_http_is_followed(self, web, target):
        assert "is not an http or https URL" in failure(web.url(f"/to?url={target}"))

    def test_a_target_that_is_no_url_is_a_failure(self, web):
        assert "cannot be made" in failure(web.url("/to?url=http://[bad"))

    def test_the_body_of_a_redirect_is_not_read(self, web):
        assert get(web.url("/endless_redirect"))["path"] == "/echo"
        assert web.streamed_bytes < 8 * MIB  # what fits into the buffers of two sockets

    def test_a_failure_names_the_hop_where_it_happened(self, web):
        with serving() as other:
            message = failure(web.url(f"/to?url={other.url('/hangup')}"))
        assert f"no connection to {other.url('/hangup')}: " in message


class TestBounds:
    def test_a_body_may_have_exactly_so_many_bytes(self, web):
        assert len(get(web.url("/sized/1000"), max_bytes=1000)) == 1000
        assert "more than 999 bytes (`max_bytes`)" in failure(web.url("/sized/1000"), max_bytes=999)

    def test_a_body_without_end_is_cut_off(self, web):
        assert f"more than {10 * MIB} bytes" in failure(web.url("/endless"))

    def test_a_bomb_does_not_go_off(self, web):
        assert len(bomb()) < BOMB_BYTES // 500
        get(web.url("/echo"))  # what is imported at the first call is not the bomb's
        tracemalloc.start()
        try:
            assert "more than 1000000 bytes" in failure(web.url("/bomb"), max_bytes=1_000_000)
            _, most = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert most < 8 * MIB

    @pytest.mark.parametrize("path", ["/silent", "/stalled"])
    def test_who_says_nothing_is_not_waited_for(self, web, path):
        assert f"{web.url(path)} sent nothing for 0.05 s" in failure(web.url(path), read_timeout=0.05)

    @pytest.mark.parametrize(
        ("path", "words"),
        [("/cut", "is broken: "), ("/not_packed", "is broken: "), ("/hangup", "no connection to ")],
    )
    def test_a_broken_answer_is_a_failure(self, web, path, words):
        assert words in failure(web.url(path))

    def test_nobody_there_is_a_failure(self):
        with serving() as gone:
            url = gone.url("/")
        assert f"no connection to {url}: Connection refused" in failure(url)

    def test_a_name_that_nobody_has_is_a_failure(self):
        assert "no connection to http://no-such-host.invalid/: " in failure("http://no-such-host.invalid/")


@pytest.mark.parametrize(
    "url",
    ["x", "http://", "http:///a", "http://127.0.0.1:99999/", "http://a b/", "http://[::1/", f"http://{'a' * 300}/"],
)
def test_what_is_no_url_is_a_failure(url):
    assert "cannot be made" in failure(url)


@pytest.mark.parametrize("value", ["a\nb", "a\r\nX: y", "€"])
def test_a_header_that_cannot_be_sent_is_a_failure(web, value):
    assert "cannot be made" in failure(web.url("/echo"), headers={"X": value})
    assert web.seen == []


def test_messages_hold_neither_password_nor_query(web):
    message = failure(web.url("/status/500?token=s3cret", host="u:hunter2@127.0.0.1"))
    assert "s3cret" not in message
    assert "hunter2" not in message


class TestPrivateAddresses:
    @pytest.mark.parametrize(
        "host", ["127.0.0.1", "localhost", "0x7f.1", "2130706433", "0", "[::1]", "[::ffff:127.0.0.1]"]
    )
    def test_however_they_are_written_they_are_denied(self, web, host):
        assert "is not a public address" in failure(web.url("/echo", host), settings={"deny_private": True})
        assert web.seen == []

    def test_a_host_that_the_operator_names_is_allowed_and_gets_its_own_name(self, web):
        settings = {"deny_private": True, "allowed_hosts": ["LOCALHOST"]}
        asked = call(http_request, {"url": web.url("/echo", "localhost")}, settings=settings)
        assert asked["headers"]["host"] == f"localhost:{web.port}"

    def test_what_came_over_the_api_reaches_none_unless_the_operator_says(self, web):
        fields = {"url": web.url("/echo")}
        assert "is not a public address" in refusal(http_request, fields, origin="api")
        assert web.seen == []
        for settings in ({"deny_private": False}, {"allowed_hosts": ["127.0.0.1"]}):
            assert call(http_request, fields, settings=settings, origin="api")["path"] == "/echo"
        for origin in ("", "cli", "inbox", "schedule"):
            assert call(http_request, fields, origin=origin)["path"] == "/echo"

    def test_cookies_belong_to_the_name_and_not_to_the_address(self, web):
        settings = {"deny_private": True, "allowed_hosts": ["localhost"]}
        asked = call(http_request, {"url": web.url("/cookie", "localhost")}, settings=settings)
        assert asked["headers"]["cookie"] == "seen=yes"

    def test_a_redirect_is_judged_again(self, web):
        settings = {"deny_private": True, "allowed_hosts": ["localhost"]}
        url = web.url(f"/to?url={web.url('/echo')}", "localhost")
        assert "127.0.0.1 is not a public address" in failure(url, settings=settings)
        assert len(web.seen) == 1

    @pytest.mark.parametrize(
        "target",
        [
            "http://169.254.169.254/latest/meta-data",
            "http://[::ffff:169.254.169.254]/",
            "http://[64:ff9b::a9fe:a9fe]/",
            "http://[fe80::1]/",
            "http://0.0.0.0/",
            "http://0x7f000001/",
            "http://017700000001/",
            "http://127.1/",
        ],
    )
    def test_a_redirect_into_the_house_is_denied_however_it_is_written(self, web, target):
        settings = {"deny_private": True, "allowed_hosts": ["localhost"]}
        message = failure(web.url(f"/to?url={target}", "localhost"), settings=settings)
        assert "is not a public address" in message
        assert len(web.seen) == 1

    def test_a_name_that_nobody_has_is_a_failure(self):
        message = failure("http://no-such-host.invalid/", settings={"deny_private": True})
        assert "no-such-host.invalid" in message

    def test_the_name_is_resolved_once_and_the_address_that_was_judged_is_connected_to(self, web, monkeypatch):
        resolved, resolve = [], socket.getaddrinfo

        def resolve_and_record(host, *more, **options):
            resolved.append(host)
            return resolve(host, *more, **options)

        monkeypatch.setattr(socket, "getaddrinfo", resolve_and_record)
        settings = {"deny_private": True, "allowed_hosts": ["localhost"]}
        call(http_request, {"url": web.url("/echo", "localhost")}, settings=settings)
        assert resolved.count("localhost") == 1

    def test_of_several_addresses_the_next_is_tried_where_nobody_answers_at_the_first(self, web, monkeypatch):
        monkeypatch.setattr(exchange, "judged", lambda *_: ["127.0.0.2", "127.0.0.1"])
        call(http_request, {"url": web.url("/echo", "two.example")}, settings={"deny_private": True})
        assert [seen.headers["host"] for seen in web.seen] == [f"two.example:{web.port}"]

    def test_what_was_sent_once_is_not_sent_again_to_another_address(self, web, monkeypatch):
        monkeypatch.setattr(exchange, "judged", lambda *_: ["127.0.0.1", "127.0.0.1"])
        url = web.url("/hangup", "two.example")
        assert "no connection to" in failure(url, settings={"deny_private": True}, method="POST")
        assert len(web.seen) == 1

    def test_behind_a_proxy_the_promise_cannot_be_kept(self, web):
        settings = {"deny_private": True, "environment_proxies": True}
        assert "through a proxy" in failure(web.url("/echo"), settings=settings)


class TestEnvironment:
    def test_proxies_of_the_environment_are_used_only_where_the_settings_say_so(self, web, monkeypatch):
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with serving() as target:
            monkeypatch.setenv("http_proxy", web.url(""))
            monkeypatch.setenv("NO_PROXY", "")
            assert get(target.url("/echo"))["path"] == "/echo"
            assert web.seen == []
            call(http_request, {"url": target.url("/echo"), "response": "none"}, settings={"environment_proxies": True})
        assert [seen.headers["host"] for seen in web.seen] == [f"127.0.0.1:{target.port}"]

    def test_no_netrc_is_read(self, web, monkeypatch, tmp_path):
        netrc = tmp_path / "netrc"
        netrc.write_text("machine 127.0.0.1 login u password p\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert "authorization" not in get(web.url("/echo"))["headers"]


@pytest.mark.needs("openssl")
class TestSecurely:
    def test_a_certificate_that_nobody_vouches_for_is_refused(self, secure_web):
        assert "no secure connection to" in failure(secure_web.url("/echo", "localhost"))
        assert secure_web.seen == []

    def test_the_operator_s_own_authority_is_trusted(self, secure_web, certificate_file):
        assert get(secure_web.url("/echo", "localhost"), verify=str(certificate_file))["path"] == "/echo"

    def test_the_name_has_to_be_that_of_the_certificate(self, secure_web, certificate_file):
        assert "no secure connection to" in failure(secure_web.url("/echo"), verify=str(certificate_file))

    def test_a_pinned_address_keeps_the_name_for_the_certificate_and_the_host(self, secure_web, certificate_file):
        fields = {"url": secure_web.url("/echo", "localhost"), "verify": str(certificate_file)}
        asked = call(http_request, fields, settings={"deny_private": True, "allowed_hosts": ["localhost"]})
        assert asked["headers"]["host"] == f"localhost:{secure_web.port}"
        assert secure_web.server_names == ["localhost"]

    def test_a_pinned_address_is_no_way_round_the_certificate(self, secure_web, certificate_file):
        settings = {"deny_private": True, "allowed_hosts": ["127.0.0.1"]}
        message = failure(secure_web.url("/echo"), verify=str(certificate_file), settings=settings)
        assert "no secure connection to" in message

    @pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
    def test_unchecked_needs_the_operator(self, secure_web):
        assert "allow_unverified" in failure(secure_web.url("/echo"), verify=False)
        fields = {"url": secure_web.url("/echo"), "verify": False}
        assert call(http_request, fields, settings={"allow_unverified": True})["path"] == "/echo"

    def test_an_authority_file_that_is_not_there_is_a_failure(self, secure_web, tmp_path):
        assert str(tmp_path / "no.pem") in failure(secure_web.url("/echo"), verify=str(tmp_path / "no.pem"))
