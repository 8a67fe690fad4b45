"""Real HTTP servers on loopback that behave as badly as the world does: the fixtures `web` and `secure_web`.

`web.url("/echo")` is an address on it, `web.seen` what was asked; the route `/echo` is `Handler.on_echo`.
"""

import gzip
import json
import ssl
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit

BOMB_BYTES = 64 * 1024 * 1024
_CHUNK = b"x" * 65536


@cache
def bomb() -> bytes:
    """Pack 64 MiB of nothing, piece by piece: whoever looks at the memory sees only what the client takes."""
    packer = zlib.compressobj(wbits=31)
    return b"".join(packer.compress(bytes(65536)) for _ in range(BOMB_BYTES // 65536)) + packer.flush()


class Seen(NamedTuple):
    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]
    body: bytes


class Handler(BaseHTTPRequestHandler):
    """Answer by the first part of the path; what follows is the route's argument."""

    protocol_version = "HTTP/1.1"
    asked: Seen

    @property
    def web(self) -> "Web":
        assert isinstance(self.server, Web)
        return self.server

    def handle_any(self) -> None:
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Seen(self.command, parts.path, parse_qs(parts.query), headers, body)
        self.web.seen.append(self.asked)
        route, _, argument = parts.path.strip("/").partition("/")
        # A client that has heard enough hangs up; that is what many of these routes are for.
        with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLError):
            getattr(self, f"on_{route}")(unquote(argument))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = handle_any  # noqa: N815 -- http.server's names

    def answer(self, status: int, body: bytes = b"", /, **headers: str) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def stream(self, status: int, **headers: str) -> None:
        """Send bytes until the other side has had enough, and count them."""
        self.close_connection = True
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        while not self.web.is_closing.is_set():
            self.wfile.write(_CHUNK)
            self.web.streamed_bytes += len(_CHUNK)

    def on_echo(self, _: str) -> None:
        asked = self.asked._asdict() | {"body": self.asked.body.decode()}
        self.answer(200, json.dumps(asked).encode(), Content_Type="application/json")

    def on_json(self, argument: str) -> None:
        self.answer(200, argument.encode(), Content_Type="application/problem+json; charset=utf-8")

    def on_plain(self, argument: str) -> None:
        self.answer(200, f"you said {argument}".encode())

    def on_latin(self, _: str) -> None:
        self.answer(200, "Käse".encode("latin-1"), Content_Type="text/plain; charset=iso-8859-1")

    def on_broken_text(self, _: str) -> None:
        self.answer(200, "Käse".encode("latin-1"), Content_Type="text/plain")

    def on_unknown_charset(self, _: str) -> None:
        self.answer(200, b"x", Content_Type="text/plain; charset=klingon")

    def on_binary(self, _: str) -> None:
        self.answer(200, b"\x89PNG\0\0", Content_Type="image/png")

    def on_marked(self, _: str) -> None:
        self.answer(200, b'\xef\xbb\xbf{"a": 1}', Content_Type="application/json")

    def on_deep(self, _: str) -> None:
        self.answer(200, b"[" * 100_000, Content_Type="application/json")

    def on_status(self, argument: str) -> None:
        self.answer(int(argument), b"because of\n  reasons", Content_Type="text/plain")

    def on_quiet(self, argument: str) -> None:
        self.answer(int(argument))

    def on_redirect(self, argument: str) -> None:
        left = int(argument)
        self.answer(302, Location=f"/redirect/{left - 1}" if left > 1 else "/echo")

    def on_loop(self, _: str) -> None:
        self.answer(302, Location="/loop")

    def on_to(self, argument: str) -> None:
        self.answer(int(argument or 302), Location=self.asked.query["url"][0])

    def on_cookie(self, _: str) -> None:
        self.answer(302, Location="/echo", Set_Cookie="seen=yes; Path=/")

    def on_endless(self, _: str) -> None:
        self.stream(200, Content_Type="text/plain")

    def on_endless_redirect(self, _: str) -> None:
        self.stream(302, Location="/echo")

    def on_sized(self, argument: str) -> None:
        self.answer(200, b"x" * int(argument), Content_Type="text/plain")

    def on_bomb(self, _: str) -> None:
        self.answer(200, bomb(), Content_Encoding="gzip", Content_Type="text/plain")

    def on_packed(self, argument: str) -> None:
        self.answer(200, gzip.compress(argument.encode()), Content_Encoding="gzip", Content_Type="text/plain")

    def on_not_packed(self, _: str) -> None:
        self.answer(200, b"this is no gzip", Content_Encoding="gzip")

    def on_cut(self, _: str) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"only this")

    def on_silent(self, _: str) -> None:
        self.close_connection = True
        self.web.is_closing.wait(60)

    def on_stalled(self, _: str) -> None:
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Length", "1000")
        self.end_headers()
        self.wfile.write(b"and then")
        self.web.is_closing.wait(60)

    def on_v1(self, argument: str) -> None:
        """Be a language model: answer what the test has prepared, as the chat completions of OpenAI."""
        body = json.loads(self.asked.body)
        is_asked_well = argument == "chat/completions" and body["model"] and body["messages"]
        if self.command != "POST" or not is_asked_well:
            return self.answer(400, b'{"error": {"message": "that is no request for a completion"}}')
        status, data, headers = self.web.replies.pop(0)
        return self.answer(status, data, **{"Content_Type": "application/json", **headers})

    def on_doctor(self, _: str) -> None:
        """Be as well as `web.is_well` says; who asks while `web.is_held` is set waits for its end."""
        if self.web.is_held.is_set():
            self.web.is_let_go.wait(60)
        self.answer(200 if self.web.is_well.is_set() else 503)

    def on_hangup(self, _: str) -> None:
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 -- http.server's name
        """Say nothing."""


class Web(ThreadingHTTPServer):
    """A server with its record of what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[Seen] = []
        self.server_names: list[str | None] = []
        self.streamed_bytes = 0
        self.replies: list[tuple[int, bytes, dict[str, str]]] = []
        self.is_closing = threading.Event()
        self.is_well, self.is_held, self.is_let_go = threading.Event(), threading.Event(), threading.Event()
        self.scheme = "http"
        if context is not None:
            context.sni_callback = lambda _, name, __: self.server_names.append(name)
            self.socket = context.wrap_socket(self.socket, server_side=True)
            self.scheme = "https"

    def say(self, text: Any, /, *, finish: str = "stop", usage: tuple[int, int] | None = (10, 5), **more: Any) -> None:
        """Prepare the next completion; `more` are further keys of its message."""
        message = {"role": "assistant", "content": text, **more}
        data: dict[str, Any] = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "stub-1-2027",
            "choices": [{"index": 0, "message": message, "finish_reason": finish}],
        }
        if usage is not None:
            data["usage"] = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
            data["usage"]["total_tokens"] = sum(usage)
        self.replies.append((200, json.dumps(data).encode(), {}))

    def refuse(self, status: int, body: bytes, **headers: str) -> None:
        """Prepare an error as the next reply."""
        self.replies.append((status, body, headers))

    @property
    def port(self) -> int:
        return self.server_address[1]

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"{self.scheme}://{host}:{self.port}{path}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a handshake that the client refuses is part of the test."""


@contextmanager
def serving(context: ssl.SSLContext | None = None) -> Iterator[Web]:
    """Serve until the block ends."""
    web = Web(context)
    thread = threading.Thread(target=web.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield web
    finally:
        web.is_closing.set()
        web.is_let_go.set()
        web.shutdown()
        thread.join()
        web.server_close()


def certificate(folder: Path) -> Path:
    """Make a certificate for `localhost` that signs itself; the file holds its key too."""
    import subprocess

    key, crt, both = folder / "key.pem", folder / "crt.pem", folder / "both.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command, "-keyout", key, "-out", crt], check=True, capture_output=True)
    both.write_text(key.read_text() + crt.read_text())
    return both
