"""One HTTP exchange under bounds: redirects, addresses, sizes, times, and a sentence for each way it can fail.

Redirects are followed here and not by the library: it would read the body of each, however large, and connect to
whatever address it names. What a status means and what becomes of the body is the caller's: http_request, api_call
and ai, which import this at their first call, for every worker would pay for requests at its start.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit, urlunsplit

import requests
from requests.adapters import HTTPAdapter
from requests.cookies import extract_cookies_to_jar

from engine.task import ticks
from plugins._parts.addresses import AddressDeniedError, judged
from plugins._parts.bounds import Bounds, Policy
from plugins._parts.circuit import CircuitBrokenError, CircuitOpenError, calling
from plugins._parts.reply import ExchangeError, Reply

# Errors of the library below requests, by name: it is no dependency of ours.
_NEVER_CONNECTED = frozenset({"NewConnectionError", "ConnectTimeoutError"})
_TIMED_OUT = frozenset({"ReadTimeoutError"})
_SEE_OTHER, _MOVED = 303, frozenset({301, 302})
_CHUNK_BYTES = 64 * 1024
_QUOTED_BYTES = 500
_QUOTED_CHARS = 60
_FIRST_SERVER_ERROR = 500
# What says that a host is not well, to its circuit breaker; a CA file of ours that is missing is neither of these.
_FAULTS = (requests.RequestException, socket.gaierror)
# Of a request that is redirected these are made anew; to another host no credentials go along.
_MADE_ANEW = frozenset({"host", "cookie", "content-length", "transfer-encoding"})
_OF_THE_BODY = frozenset({"content-type", "content-encoding"})


def exchange(arguments: dict[str, Any], bounds: Bounds, operator: Policy, is_wanted: Callable[[int], bool]) -> Reply:
    """Send a request (the arguments of `requests.Request`), follow its redirects, and read the last response.

    Raises ExchangeError, which says what went wrong; also for a status that is not wanted.
    """
    if bounds.verify is False and not operator.allow_unverified:
        raise ExchangeError("`verify: false` is not allowed; the operator can set `allow_unverified = true`")
    if operator.deny_private and operator.environment_proxies:
        raise ExchangeError("`deny_private` cannot hold through a proxy; the settings may say one of the two")
    started = ticks()
    with requests.Session() as session, _sentences(_place(str(arguments["url"])), bounds):
        # No proxies, no ~/.netrc and no CA file that the environment names: a task does what its document says.
        session.trust_env = False
        session.headers["User-Agent"] = "dropmill"
        with _answer(session, session.prepare_request(requests.Request(**arguments)), bounds, operator) as response:
            where = f"{response.request.method} {_place(response.request.url or '')}"
            if not is_wanted(response.status_code):
                raise ExchangeError(_unwanted(where, response))
            body = _read(response, bounds.max_bytes, where)
            headers = {name.lower(): value for name, value in response.headers.items()}
            charset = requests.utils.get_encoding_from_headers(response.headers)
            return Reply(
                status=response.status_code,
                headers=headers,
                body=body,
                url=_without_user(response.url),
                charset=charset if "charset" in headers.get("content-type", "") else None,
                seconds=round(ticks() - started, 6),
            )


def _place(url: str) -> str:
    # For messages: without user, password and query, which may hold secrets.
    try:
        parts = urlsplit(_without_user(url))
    except ValueError:
        return repr(url)
    return urlunsplit((parts.scheme, parts.netloc, parts.path, "", ""))


def _host(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.hostname}:{_port(parts)}"


def _port(parts: SplitResult) -> int:
    return parts.port or (443 if parts.scheme == "https" else 80)


def _without_user(url: str) -> str:
    parts = urlsplit(url)
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))


@contextmanager
def _answer(
    session: requests.Session, request: requests.PreparedRequest, bounds: Bounds, operator: Policy
) -> Iterator[requests.Response]:
    """Follow redirects to the response that is none; with `max_redirects` 0 a redirect is a response like any other."""
    for _ in range(bounds.max_redirects + 1):
        origin = request.url or ""
        if urlsplit(origin).scheme.lower() not in {"http", "https"}:
            raise ExchangeError(f"{_place(origin)} is not an http or https URL")
        # What goes wrong is said of the hop where it did, also while the caller reads.
        with (
            _sentences(_place(origin), bounds),
            calling(operator.circuit, _host(origin), _FAULTS) as call,
            _sent(session, request, bounds, operator) as response,
        ):
            call.is_well = response.status_code < _FIRST_SERVER_ERROR
            target = session.get_redirect_target(response)
            if not target or not bounds.max_redirects:
                response.request.url = response.url = origin
                yield response
                return
            request = _redirected(session, request, response.status_code, urljoin(origin, target))
    raise ExchangeError(f"more than {bounds.max_redirects} redirects; the last led to {_place(request.url or '')}")


def _redirected(
    session: requests.Session, request: requests.PreparedRequest, status: int, url: str
) -> requests.PreparedRequest:
    if urlsplit(url).scheme.lower() not in {"http", "https"}:
        raise ExchangeError(f"a redirect leads to {_place(url)}, which is not an http or https URL")
    method = _method_after(status, request.method or "GET")
    dropped = set(_MADE_ANEW)
    if method != request.method:
        dropped |= _OF_THE_BODY
    if session.should_strip_auth(request.url or "", url):  # type: ignore[no-untyped-call]  # the library leaves it untyped
        dropped.add("authorization")
    headers = {name: value for name, value in request.headers.items() if name.lower() not in dropped}
    body = request.body if method == request.method else None
    return session.prepare_request(requests.Request(method, url, headers=headers, data=body))


def _method_after(status: int, method: str) -> str:
    """Say which method follows a redirect, as browsers do it: 303 reads, a POST that moved is read too."""
    if (status == _SEE_OTHER and method != "HEAD") or (status in _MOVED and method == "POST"):
        return "GET"
    return method


def _sent(
    session: requests.Session, request: requests.PreparedRequest, bounds: Bounds, operator: Policy
) -> requests.Response:
    options: dict[str, Any] = {
        "stream": True,
        "timeout": (bounds.connect_timeout, bounds.read_timeout),
        "verify": bounds.verify,
    }
    if operator.environment_proxies:
        options["proxies"] = requests.utils.get_environ_proxies(request.url or "")
    if not operator.deny_private:
        return _through(session, request, options)
    parts = urlsplit(request.url or "")
    port = _port(parts)
    addresses = judged(parts.hostname or "", port, operator.allowed_hosts)
    for address in addresses[:-1]:
        try:
            return _through(session, _pinned(session, request, address, port), options)
        except requests.ConnectionError as error:
            # Only where nothing was sent yet may another address of the host be tried.
            if not _is_caused_by(error, _NEVER_CONNECTED):
                raise
    return _through(session, _pinned(session, request, addresses[-1], port), options)


def _through(
    session: requests.Session, request: requests.PreparedRequest, options: dict[str, Any]
) -> requests.Response:
    # Not by `session.send`: where it follows no redirect it reads the redirect's whole body all the same.
    response = session.get_adapter(request.url or "").send(request, **options)
    extract_cookies_to_jar(session.cookies, request, response.raw)  # type: ignore[no-untyped-call]  # the library leaves it untyped
    return response


def _pinned(
    session: requests.Session, request: requests.PreparedRequest, address: str, port: int
) -> requests.PreparedRequest:
    """Aim a request at one address of its host; Host header, SNI and the certificate's name stay those of the host."""
    parts = urlsplit(request.url or "")
    netloc = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    adapter = HTTPAdapter()
    if parts.scheme == "https" and parts.hostname != address:
        adapter.init_poolmanager(1, 1, server_hostname=parts.hostname, assert_hostname=parts.hostname)
    session.mount(f"{parts.scheme}://{netloc}", adapter)
    pinned = request.copy()
    pinned.headers.setdefault("Host", parts.netloc.rpartition("@")[2])
    pinned.url = urlunsplit(parts._replace(netloc=netloc))
    return pinned


def _read(response: requests.Response, max_bytes: int, where: str) -> bytes:
    body = bytearray()
    for chunk in response.iter_content(_CHUNK_BYTES):
        body += chunk
        if len(body) > max_bytes:
            raise ExchangeError(f"{where} answered with more than {max_bytes} bytes (`max_bytes`)")
    return bytes(body)


def _unwanted(where: str, response: requests.Response) -> str:
    sentence = f"{where} answered {response.status_code} {response.reason or ''}".rstrip()
    body = next(response.iter_content(_QUOTED_BYTES), b"")
    quoted = " ".join(body.decode(errors="replace").split())
    if wait := response.headers.get("Retry-After"):
        sentence += f" (Retry-After: {wait[:_QUOTED_CHARS]})"
    return f"{sentence}: {quoted}" if quoted else sentence


@contextmanager
def _sentences(where: str, bounds: Bounds) -> Iterator[None]:
    """Turn what the library and the system raise into sentences."""
    try:
        yield
    except (AddressDeniedError, CircuitBrokenError) as error:
        raise ExchangeError(str(error)) from None
    except CircuitOpenError as error:
        raise ExchangeError(str(error), reason="circuit_open") from None
    except requests.ConnectTimeout:
        raise ExchangeError(f"no connection to {where} within {bounds.connect_timeout:g} s") from None
    except requests.exceptions.SSLError as error:
        raise ExchangeError(f"no secure connection to {where}: {_reason(error)}") from None
    except (requests.exceptions.ContentDecodingError, requests.exceptions.ChunkedEncodingError) as error:
        raise ExchangeError(f"the body from {where} is broken: {_reason(error)}") from None
    except requests.RequestException as error:
        if isinstance(error, requests.Timeout) or _is_caused_by(error, _TIMED_OUT):
            raise ExchangeError(f"{where} sent nothing for {bounds.read_timeout:g} s") from None
        if isinstance(error, requests.ConnectionError):
            raise ExchangeError(f"no connection to {where}: {_reason(error)}") from None
        raise ExchangeError(f"the request to {where} cannot be made: {_reason(error)}") from None
    except (OSError, ValueError) as error:
        # A CA file that is not there, a header that is not Latin-1, a URL with an impossible port.
        raise ExchangeError(f"the request to {where} cannot be made: {_reason(error)}") from None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Walk from an error to what caused it: `reason` and the arguments are where urllib3 and requests keep theirs."""
    seen: list[BaseException] = []
    found: BaseException | None = error
    while found is not None and found not in seen:
        yield found
        seen.append(found)
        kept = [part for part in (getattr(found, "reason", None), *found.args) if isinstance(part, BaseException)]
        found = kept[0] if kept else found.__cause__ or found.__context__


def _is_caused_by(error: BaseException, names: frozenset[str]) -> bool:
    return any(type(cause).__name__ in names for cause in _causes(error))


def _reason(error: BaseException) -> str:
    last = list(_causes(error))[-1]
    words = getattr(last, "strerror", None) or str(last)
    return str(words) or type(last).__name__
