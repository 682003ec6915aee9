# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading from an index over HTTP: pages, and parts of archives. Nothing is trusted to be short, quick or honest."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import http.client
import io
import netrc
import os
import re
import socket
import ssl
import threading
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

PAGE_LIMIT = 64 << 20
"""Bytes of one page of an index; the largest real ones have about 30 MB."""
BLOCK = 1 << 16
AHEAD = 4 << 20
"""Bytes fetched with one request at most."""
AGENT = "labops-dgx-spark"
LOGIN = re.compile(r"(?<=://)[^/?#\s]*@|^[^/?#\s@:]{1,200}:[^/?#\s@]{1,2000}@(?!sha256:)")
"""A user, password or token in a link, or in front of what has no scheme (an image)."""
_LINK = re.compile(r"(?<=://)\S+")
_QUERY = re.compile(r"\?[^#]*")


class FetchError(Exception):
    """Something could not be fetched; the message is one sentence without credentials."""

    def __init__(self, message: str, kind: str = "other") -> None:
        super().__init__(message)
        self.kind = kind
        """no_network, timeout, no_access, not_found, too_large, no_ranges, other"""


class _Careful(urllib.request.HTTPRedirectHandler):
    """Follows a redirect without taking credentials to another host."""

    def redirect_request(
        self, req: urllib.request.Request, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        """See urllib."""
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        # Its text would be read to an end that it may not have.
        fp.read = bytes
        if following is not None:
            req.watch.drop()  # type: ignore[attr-defined]
            following.watch = req.watch  # type: ignore[attr-defined]
        if following is not None and urllib.parse.urlsplit(newurl).netloc != urllib.parse.urlsplit(req.full_url).netloc:
            following.headers.pop("Authorization", None)
        return following


class _Watch:
    """Ends a request's connections when its time is over. A limit for each read is none for a server that sends a byte now and then."""

    def __init__(self, seconds: float) -> None:
        self.late = False
        self._sockets: list[socket.socket] = []
        self._timer = threading.Timer(seconds, self._end)
        self._timer.daemon = True
        self._timer.start()

    def add(self, connection: socket.socket) -> None:
        """One more connection. What is kept is a copy: TLS takes the socket itself away."""
        self._sockets.append(connection.dup())
        if self.late:
            self._end()

    def _end(self) -> None:
        self.late = True
        self.drop()

    def drop(self) -> None:
        """End the connections that there are."""
        while self._sockets:
            with contextlib.suppress(OSError, IndexError), self._sockets.pop() as item:
                item.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """The request has ended."""
        self._timer.cancel()
        self._timer.join()
        self.drop()


class _Watched(http.client.HTTPConnection):
    watch: _Watch

    def connect(self) -> None:
        """See http.client."""
        super().connect()
        self.watch.add(self.sock)


class _WatchedTls(http.client.HTTPSConnection, _Watched):
    """Its handshake begins when `_Watched` has the connection."""


def _maker(kind: type[_Watched], watch: _Watch) -> Any:
    """What urllib makes a connection with."""

    def made(host: str, **options: Any) -> _Watched:
        connection = kind(host, **options)
        connection.watch = watch
        return connection

    return made


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: Any) -> http.client.HTTPResponse:
        """See urllib."""
        return self.do_open(_maker(_Watched, req.watch), req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: Any) -> http.client.HTTPResponse:
        """See urllib."""
        return self.do_open(_maker(_WatchedTls, req.watch), req, context=_context())


class Web:
    """HTTP with a time limit. Only http and https: an index cannot point at a file of the controller."""

    def __init__(self, limit: float = 30.0) -> None:
        self.limit = limit
        self._opener = urllib.request.OpenerDirector()
        for handler in (
            urllib.request.ProxyHandler(),
            _Http(),
            _Https(),
            urllib.request.HTTPDefaultErrorHandler(),
            _Careful(),
            urllib.request.HTTPErrorProcessor(),
            urllib.request.UnknownHandler(),
        ):
            self._opener.add_handler(handler)

    def page(self, url: str, accept: str = "*/*", limit: int = PAGE_LIMIT) -> tuple[str, str]:
        """Content type and text of a page. Raises FetchError."""
        with self.open(url, {"Accept": accept}) as response:
            try:
                data = _drained(response, limit)
            except (OSError, http.client.HTTPException) as error:
                raise self._told(url, error) from None
            kind = str(response.headers.get("Content-Type") or "")
        return kind.partition(";")[0].strip().lower(), data.decode("utf-8", "replace")

    @contextlib.contextmanager
    def open(self, url: str, headers: Mapping[str, str], seconds: float | None = None) -> Iterator[Any]:
        """The open response, for ``seconds`` in all (twice the limit). Raises FetchError."""
        bare, authorization = split_credentials(url)
        if urllib.parse.urlsplit(bare).scheme not in ("http", "https"):
            raise FetchError(f"{shown(url)} is neither http nor https")
        request = urllib.request.Request(bare, headers={"User-Agent": AGENT, "Accept-Encoding": "identity", **headers})
        if authorization:
            request.add_unredirected_header("Authorization", authorization)
        watch = request.watch = _Watch(seconds or 2 * self.limit)  # type: ignore[attr-defined]
        try:
            try:
                answer = self._opener.open(request, timeout=self.limit)
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise self._told(url, error) from None
            with answer:
                yield answer
        except (FetchError, OSError, http.client.HTTPException):
            if not watch.late:
                raise
        finally:
            watch.close()
        if watch.late:
            raise FetchError(
                f"{urllib.parse.urlsplit(bare).netloc} did not answer in full within {seconds or 2 * self.limit:.0f} s", "timeout"
            )

    def _told(self, url: str, error: Exception) -> FetchError:
        host = urllib.parse.urlsplit(split_credentials(url)[0]).netloc
        if isinstance(error, urllib.error.HTTPError):
            kind = {401: "no_access", 403: "no_access", 404: "not_found", 410: "not_found", 416: "no_ranges", 429: "rate_limit"}.get(
                error.code, "other"
            )
            return FetchError(f"{host} answered {error.code} for {shown(url)}", kind)
        reason = getattr(error, "reason", None) or error
        if isinstance(reason, TimeoutError) or "timed out" in str(reason):
            return FetchError(f"{host} did not respond within {self.limit:.0f} s", "timeout")
        words = re.sub(r"[^\x20-\x7e]", "?", str(reason))[:160] or type(error).__name__
        return FetchError(f"{host} could not be reached: {words}", "no_network")


class RangedFile(io.RawIOBase):
    """An archive on a web server of which only what is asked for is fetched."""

    def __init__(self, web: Web, url: str, budget: int) -> None:
        """Raises FetchError; with kind no_ranges when the server gives whole files only. ``budget``: bytes fetched at most."""
        super().__init__()
        self._web, self._url, self._budget = web, url, budget
        self.fetched = 0
        self._position = 0
        self._start, self._block, self._ahead = 0, b"", BLOCK
        with web.open(url, {"Range": f"bytes=-{BLOCK}"}, self._seconds(BLOCK)) as response:
            span = re.fullmatch(r"bytes ([0-9]{1,15})-[0-9]{1,15}/([0-9]{1,15})", str(response.headers.get("Content-Range") or "").strip())
            if response.status != 206 or not span:
                raise FetchError(f"{shown(url)}: the server does not serve byte ranges", "no_ranges")
            self.size = int(span.group(2))
            self._keep(int(span.group(1)), response, BLOCK)

    def _seconds(self, count: int) -> float:
        return self._web.limit * 4 + count / 200_000

    def _keep(self, start: int, response: Any, count: int) -> None:
        try:
            self._block = _drained(response, count, exact=True)
        except (OSError, http.client.HTTPException) as error:
            raise FetchError(f"{shown(self._url)} broke off: {type(error).__name__}", "no_network") from None
        self._start = start
        self.fetched += len(self._block)

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """As files do."""
        self._position = {0: offset, 1: self._position + offset, 2: self.size + offset}[whence]
        return self._position

    def tell(self) -> int:
        """As files do."""
        return self._position

    def read(self, count: int = -1) -> bytes:
        """As files do. Raises FetchError."""
        end = self.size if count < 0 else min(self.size, self._position + count)
        if self._position >= end:
            return b""
        if not (self._start <= self._position and end <= self._start + len(self._block)):
            # Who reads on gets more at once; who jumps gets little.
            self._ahead = min(self._ahead * 4, AHEAD) if self._position == self._start + len(self._block) else BLOCK
            end = min(end, self._position + AHEAD)
            last = min(self.size, max(end, self._position + self._ahead)) - 1
            if self.fetched + last - self._position + 1 > self._budget:
                raise FetchError(f"more than {self._budget >> 20} MB of {shown(self._url)} would be needed", "too_large")
            wanted = last - self._position + 1
            with self._web.open(self._url, {"Range": f"bytes={self._position}-{last}"}, self._seconds(wanted)) as response:
                if response.status != 206:
                    raise FetchError(f"{shown(self._url)}: the server does not serve byte ranges", "no_ranges")
                self._keep(self._position, response, wanted)
        begin = self._position - self._start
        data = self._block[begin : begin + end - self._position]
        self._position += len(data)
        return data


def download(web: Web, url: str, folder: Path, limit: int, sha256: str | None) -> Path:
    """A whole file in a cache folder, kept by its checksum. Raises FetchError."""
    name = sha256 or hashlib.sha256(url.encode()).hexdigest()
    path = folder / f"{name}.whl"
    if sha256 and path.is_file():
        return path
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    temporary = folder / f".{name}.{os.getpid()}"
    digest = hashlib.sha256()
    try:
        with web.open(url, {}, web.limit * 4 + limit / 200_000) as response, open(temporary, "xb") as file:
            told = response.headers.get("Content-Length")
            if told and told.isdigit() and int(told) > limit:
                raise FetchError(f"{shown(url)} is {int(told) >> 20} MB; the limit is {limit >> 20} MB", "too_large")
            size = 0
            while chunk := response.read(BLOCK):
                size += len(chunk)
                if size > limit:
                    raise FetchError(f"{shown(url)} is larger than the limit of {limit >> 20} MB", "too_large")
                digest.update(chunk)
                file.write(chunk)
        if sha256 and digest.hexdigest() != sha256:
            raise FetchError(f"{shown(url)} is not the file that the index describes (checksum)", "other")
        os.replace(temporary, path)
    except (OSError, http.client.HTTPException) as error:
        raise FetchError(f"{shown(url)} could not be saved: {type(error).__name__}", "other") from None
    finally:
        temporary.unlink(missing_ok=True)
    return path


def split_credentials(url: str) -> tuple[str, str | None]:
    """The URL without user and password, and the Authorization header for it (from the URL, or over https from ~/.netrc)."""
    parts = urllib.parse.urlsplit(url)
    user, password = parts.username, parts.password
    bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    if user is None:
        user, password = next(iter(own_logins([url]).values()), (None, None))
    if user is None:
        return bare, None
    pair = f"{urllib.parse.unquote(user)}:{urllib.parse.unquote(password or '')}"
    return bare, "Basic " + base64.b64encode(pair.encode()).decode()


def own_logins(urls: Iterable[str]) -> dict[str, tuple[str, str]]:
    """What ~/.netrc holds for the hosts of these links: host to user and password.

    Somebody else may have written them: nothing for a host that one of them reaches without TLS, and never the entry for all other hosts.
    """
    hosts: dict[str, bool] = {}
    for url in urls:
        with contextlib.suppress(ValueError):
            parts = urllib.parse.urlsplit(url)
            if parts.hostname and parts.hostname != "default":
                hosts[parts.hostname] = hosts.get(parts.hostname, True) and parts.scheme == "https"
    try:
        known = netrc.netrc().hosts
    except (OSError, ValueError, netrc.NetrcParseError):
        return {}
    return {host: (known[host][0], known[host][2] or "") for host, safe in hosts.items() if safe and host in known}


def shown(url: str) -> str:
    """A URL for people: without credentials, query and surprises."""
    parts = urllib.parse.urlsplit(url)
    plain = parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()
    return re.sub(r"[^\x21-\x7e]", "?", plain)[:300]


def without_logins(text: str) -> str:
    """A text for people in which no link has a login or a query (a signature, a token): before it is cut, or half of one would be left."""
    return _LINK.sub(lambda link: _QUERY.sub("", link.group()), LOGIN.sub("", text))


def _drained(response: Any, limit: int, exact: bool = False) -> bytes:
    chunks, size = [], 0
    while size < limit or not exact:
        chunk = response.read(min(BLOCK, limit - size) if exact else BLOCK)
        if not chunk:
            break
        chunks.append(chunk)
        size += len(chunk)
        if size > limit:
            raise FetchError("the answer is too large", "too_large")
    return b"".join(chunks)


def _context() -> ssl.SSLContext:
    """Certificates of the system, or what REQUESTS_CA_BUNDLE and pip's users know it by."""
    bundle = os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("PIP_CERT")
    return ssl.create_default_context(cafile=bundle if bundle and os.path.isfile(bundle) else None)
