"""A package index on loopback: real HTTP for pip and for our own reading, with the misbehaviours that tests need."""

from __future__ import annotations

import hashlib
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Index:
    """Files by project. ``ranges``: whether parts of files are given; ``hang``: seconds before any answer."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.python: dict[str, str] = {}
        self.ranges = True
        self.hang = 0.0
        self.html = False
        self.status: dict[str, int] = {}
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.bytes_sent = 0
        self.base = ""

    def add(self, project: str, filename: str, data: bytes) -> str:
        """A file; its link is returned."""
        self.files.setdefault(project, {})[filename] = data
        return f"{self.base}/files/{project}/{filename}"

    @property
    def url(self) -> str:
        """The simple index."""
        return f"{self.base}/simple"

    def page(self, project: str) -> tuple[str, bytes]:
        """The project's page."""
        entries = []
        for name, data in self.files[project].items():
            digest = hashlib.sha256(data).hexdigest()
            entries.append({"filename": name, "url": f"../../files/{project}/{name}", "hashes": {"sha256": digest}, "size": len(data)})
        if self.html:
            links = "".join(
                f'<a href="{item["url"].replace("+", "%2B")}#sha256={item["hashes"]["sha256"]}">{item["filename"]}</a>' for item in entries
            )
            return "text/html", f"<!DOCTYPE html><html><body>{links}</body></html>".encode()
        for item in entries:
            if item["filename"] in self.python:
                item["requires-python"] = self.python[item["filename"]]
        body = {"meta": {"api-version": "1.0"}, "name": project, "files": entries}
        return "application/vnd.pypi.simple.v1+json", json.dumps(body).encode()


@contextmanager
def running(index: Index) -> Iterator[Index]:
    """Serve the index until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            return

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            index.requests.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
            time.sleep(index.hang)
            path = self.path.replace("%2B", "+")
            if path in index.status:
                self.answer(index.status[path], "text/plain", b"no")
                return
            page = re.fullmatch(r"/simple/([^/]+)/", path)
            file = re.fullmatch(r"/files/([^/]+)/(.+)", path)
            if page and page.group(1) in index.files:
                self.answer(200, *index.page(page.group(1)))
            elif file and file.group(2) in index.files.get(file.group(1), {}):
                self.part(index.files[file.group(1)][file.group(2)])
            else:
                self.answer(404, "text/plain", b"not here")

        def part(self, data: bytes) -> None:
            span = re.fullmatch(r"bytes=([0-9]*)-([0-9]*)", self.headers.get("Range") or "")
            if not span or not index.ranges:
                self.answer(200, "application/octet-stream", data, ranges=index.ranges)
                return
            first, last = span.groups()
            start = int(first) if first else max(0, len(data) - int(last))
            end = min(int(last), len(data) - 1) if first and last else len(data) - 1
            headers = {"Content-Range": f"bytes {start}-{end}/{len(data)}"}
            self.answer(206, "application/octet-stream", data[start : end + 1], headers, ranges=True)

        def answer(self, status: int, kind: str, data: bytes, headers: dict[str, str] | None = None, ranges: bool = False) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            if ranges:
                self.send_header("Accept-Ranges", "bytes")
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                index.bytes_sent += len(data)
                self.wfile.write(data)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    index.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
