"""Messages sent to a real SMTP server on loopback."""

import ssl

import pytest

from plugins import email
from tests.plugins.contract import Bad, PluginContract, try_once
from tests.plugins.direct import call, refusal
from tests.plugins.mailserver import mailing

PASSWORD = "pa55-w0rd"  # noqa: S105 -- made up


@pytest.fixture
def mail():
    """Serve SMTP on loopback, without TLS."""
    with mailing() as server:
        yield server


@pytest.fixture
def context(certificate_file):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(certificate_file)
    return made


def fields(mail, **more):
    usual = {"host": "127.0.0.1", "port": mail.port, "security": "none", "sender": "Mill <mill@example.org>"}
    return {**usual, "to": "ann@example.org", "subject": "Done", "text": "It is done.", **more}


class TestEmail(PluginContract):
    task_type = "email"

    @pytest.fixture
    def good(self, mail):
        return fields(mail)

    @pytest.fixture
    def bad(self, mail, tmp_path):
        return [
            Bad(fields(mail, subject="a\nBcc: evil@example.org"), "`subject` holds a line break"),
            Bad(fields(mail, to="ann@example.org\r\nBcc: evil@example.org"), "is not an address"),
            Bad(fields(mail, attachments=[str(tmp_path / "none")]), "cannot be read: No such file"),
            Bad(fields(mail, attachments=[str(tmp_path)]), "cannot be read: Is a directory"),
            Bad({"to": "a@b", "subject": "x"}, "no `host`"),
            Bad({"to": "a@b", "subject": "x", "host": "127.0.0.1"}, "no `sender`"),
            Bad(fields(mail, security="ssl"), "security"),
            Bad(fields(mail, host="192.0.2.1", user="u", password="p"), "a password is not sent without TLS"),
            Bad(fields(mail, security="starttls"), "cannot do what is needed: STARTTLS"),
        ]


def test_a_message_arrives_as_it_was_written(mail):
    output = call(email, fields(mail, subject="Fertig ✓", text="Grüße\n.\nEnde", reply_to="ops@example.org"))
    (seen,) = mail.seen
    assert (seen.sender, seen.receivers, seen.user) == ("mill@example.org", ["ann@example.org"], "")
    message = seen.message
    assert {name: message[name] for name in ("From", "To", "Subject", "Reply-To", "Auto-Submitted")} == {
        "From": "Mill <mill@example.org>",
        "To": "ann@example.org",
        "Subject": "Fertig ✓",
        "Reply-To": "ops@example.org",
        "Auto-Submitted": "auto-generated",
    }
    assert message["Date"].datetime.year > 2000
    assert message.get_content().splitlines() == ["Grüße", ".", "Ende"]
    assert output == {"message_id": message["Message-ID"], "accepted": ["ann@example.org"], "refused": {}}


def test_copies_go_to_everybody_once_and_blind_ones_stand_in_no_header(mail):
    to = ["Ann <ann@example.org>", '"Lee, Bob" <bob@example.org>']
    output = call(email, fields(mail, to=to, cc="cleo@example.org", bcc=["dan@example.org", "ann@example.org"]))
    (seen,) = mail.seen
    assert seen.receivers == ["ann@example.org", "bob@example.org", "cleo@example.org", "dan@example.org"]
    assert output["accepted"] == seen.receivers
    assert seen.message["To"] == 'Ann <ann@example.org>, "Lee, Bob" <bob@example.org>'
    assert "dan@" not in seen.message.as_string()


def test_a_message_may_have_text_html_and_files(mail, tmp_path):
    (tmp_path / "räport.csv").write_text("a,b\n")
    (tmp_path / "x.bin").write_bytes(b"\0\1")
    paths = [str(tmp_path / "räport.csv"), str(tmp_path / "x.bin")]
    call(email, fields(mail, html="<b>done</b>", attachments=paths))
    message = mail.seen[0].message
    assert message.get_body(("plain",)).get_content().replace("\r", "") == "It is done.\n"
    assert message.get_body(("html",)).get_content().replace("\r", "") == "<b>done</b>\n"
    files = [(part.get_filename(), part.get_content_type()) for part in message.iter_attachments()]
    assert files == [("räport.csv", "text/csv"), ("x.bin", "application/octet-stream")]
    assert [part.get_payload(decode=True) for part in message.iter_attachments()] == [b"a,b\n", b"\0\1"]


def test_html_alone_and_nothing_at_all_are_messages_too(mail):
    call(email, {name: value for name, value in fields(mail, html="<b>x</b>").items() if name != "text"})
    call(email, {name: value for name, value in fields(mail).items() if name != "text"})
    assert [seen.message.get_content_type() for seen in mail.seen] == ["text/html", "text/plain"]


def test_attachments_are_bounded_together(mail, tmp_path):
    (tmp_path / "a").write_bytes(bytes(600))
    paths = [str(tmp_path / "a")] * 2
    assert call(email, fields(mail, attachments=paths, max_bytes=1200))["accepted"]
    assert "more than 1199 bytes" in refusal(email, fields(mail, attachments=paths, max_bytes=1199))


@pytest.mark.parametrize("field", ["to", "cc", "bcc", "reply_to", "sender"])
@pytest.mark.parametrize(
    "address",
    [
        "ann",
        "ann@",
        "a@b, c@d",
        "a@b c@d",
        "<a@b",
        "Ann\n <a@example.org>",
        "a@example.org\nX: y",
        "\x00a@b",
        "Ann <a@b> <c@d>",
        "x: a@b;",
    ],
)
def test_what_is_not_one_address_is_refused(mail, field, address):
    assert f"`{field}`: " in refusal(email, fields(mail, **{field: address}))
    assert mail.seen == []


@pytest.mark.parametrize("subject", ["a\r\nBcc: x@y", "a\rb", "a\nb", "a\x00b", "a\u2028b", "a\x0bb", "a\x85b"])
def test_a_subject_is_one_line(mail, subject):
    assert "one line" in refusal(email, fields(mail, subject=subject))
    assert mail.seen == []


def test_a_name_of_a_file_begins_no_header(mail, tmp_path):
    path = tmp_path / "a\nBcc: evil@example.org"
    path.write_text("x")
    assert "control characters" in refusal(email, fields(mail, attachments=[str(path)]))


class TestRefusals:
    def test_who_is_refused_is_named_and_the_others_have_it(self, mail):
        tried = try_once("email", fields(mail, to=["550@example.org", "ann@example.org"]))
        assert (tried.outcome, tried.done.reason) == ("Failed", "invalid")
        assert tried.message == "the server refused 550@example.org (550 not here)"
        assert tried.output["accepted"] == ["ann@example.org"]
        assert mail.seen[0].receivers == ["ann@example.org"]

    @pytest.mark.parametrize(
        ("more", "reason"),
        [
            ({"to": "550@example.org"}, "invalid"),
            ({"to": "450@example.org"}, "error"),
            ({"to": ["550@example.org", "450@example.org"]}, "error"),
            ({"sender": "553@example.org"}, "invalid"),
            ({"sender": "451@example.org"}, "error"),
        ],
    )
    def test_what_may_be_taken_later_is_retried_and_what_never_will_is_not(self, mail, more, reason):
        tried = try_once("email", fields(mail, **more))
        assert (tried.outcome, tried.done.reason) == ("Failed", reason)
        assert "not here" in tried.message

    def test_nobody_there_is_a_failure_that_is_retried(self):
        with mailing() as gone:
            given = fields(gone)
        tried = try_once("email", given)
        assert (tried.done.reason, tried.message.partition(": ")[2]) == ("error", "Connection refused")

    def test_who_says_nothing_is_not_waited_for(self, mail):
        mail.is_silent = True
        assert "said nothing for 0.05 s" in refusal(email, fields(mail, connect_timeout=0.05))


@pytest.mark.needs("openssl")
class TestSecurely:
    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_a_password_goes_through_tls(self, context, certificate_file, security):
        with mailing(context, is_tls=security == "tls") as mail:
            given = fields(mail, host="localhost", security=security, user="mill", password=f"{PASSWORD}\n")
            call(email, given, settings={"ca_file": str(certificate_file)})
            assert [(seen.user, seen.is_secure) for seen in mail.seen] == [("mill", True)]

    @pytest.mark.parametrize("security", ["starttls", "tls"])
    def test_a_server_that_nobody_vouches_for_gets_nothing(self, context, security):
        with mailing(context, is_tls=security == "tls") as mail:
            message = refusal(email, fields(mail, host="localhost", security=security, user="u", password=PASSWORD))
            assert "no secure connection to" in message
            assert mail.seen == []

    def test_a_wrong_password_is_not_shown_also_where_the_server_shows_it(self, mail, capfd):
        tried = try_once("email", fields(mail, user="mill", password="wr0ng-passw0rd"))
        assert tried.done.reason == "invalid"
        assert tried.message == f"127.0.0.1:{mail.port} answered 535 *** is wrong"
        assert "wr0ng" not in "".join(capfd.readouterr())


class TestSettings:
    def test_a_document_need_not_name_the_server(self, mail):
        settings = {
            "host": "127.0.0.1",
            "port": mail.port,
            "security": "none",
            "user": "mill",
            "password": PASSWORD,
            "sender": "mill@example.org",
        }
        call(email, {"to": "ann@example.org", "subject": "x"}, settings=settings)
        assert (mail.seen[0].user, mail.seen[0].sender) == ("mill", "mill@example.org")

    def test_their_password_goes_to_no_other_server(self, mail):
        call(email, fields(mail), settings={"host": "smtp.example.org", "user": "mill", "password": PASSWORD})
        assert mail.seen[0].user == ""

    def test_a_password_of_the_wrong_type_is_not_shown(self, mail):
        message = refusal(email, fields(mail), settings={"password": 12345678})
        assert "`password` is no such value; it has to be a text" in message
