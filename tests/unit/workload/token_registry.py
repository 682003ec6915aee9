"""A registry on loopback that asks for a token, and its misbehaviours: what a real client meets out there."""

from __future__ import annotations

import base64
import http.server
import json
import threading
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from oci_layout import INDEX, MANIFEST, Blobs, Variant

SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"


class TokenRegistry:
    """Repositories: open, private, limited, slow, garbage, old."""

    def __init__(self) -> None:
        self.blobs = Blobs()
        self.tops = {"open": str(self.blobs.index([Variant("linux/amd64"), Variant("linux/arm64/v8")])["digest"])}
        self.tops["private"] = self.tops["open"]
        self.address = ""
        self.tokens: list[str | None] = []
        self.requests: list[str] = []


@contextmanager
def running(registry: TokenRegistry) -> Iterator[TokenRegistry]:
    """Serve until the block ends."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_arguments: object) -> None:
            return

        def do_GET(self) -> None:
            registry.requests.append(self.path)
            parts = urllib.parse.urlsplit(self.path)
            if parts.path == "/token":
                self.token(urllib.parse.parse_qs(parts.query))
                return
            words = parts.path.strip("/").split("/")
            name = words[2] if len(words) > 2 else ""
            given = (self.headers.get("Authorization") or "").removeprefix("Bearer ")
            if given not in ("anonymous", "known") or (name == "private" and given != "known"):
                scope = f',scope="repository:lab/{name}:pull"' if name else ""
                challenge = f'Bearer realm="http://{registry.address}/token",service="lab"{scope}'
                self.answer(401, "text/html", b"<html>401 Authorization Required</html>", {"WWW-Authenticate": challenge})
            elif len(words) < 4:
                self.answer(200, "application/json", b"{}")
            else:
                self.content(name, words[3], words[4])

        def token(self, query: dict[str, list[str]]) -> None:
            basic = self.headers.get("Authorization")
            registry.tokens.append(basic)
            user = base64.b64decode(basic.removeprefix("Basic ")).decode() if basic else ""
            self.answer(200, "application/json", json.dumps({"token": "known" if user == "lab:key" else "anonymous"}).encode())

        def content(self, name: str, kind: str, reference: str) -> None:
            if name == "limited":
                error = {"code": "TOOMANYREQUESTS", "message": "You have reached your unauthenticated pull rate limit."}
                self.answer(429, "application/json", json.dumps({"errors": [error]}).encode())
            elif name == "slow":
                time.sleep(8)
                self.answer(200, "application/json", b"{}")
            elif name == "garbage":
                self.answer(200, INDEX, b"<html>" + b"x" * 500)
            elif name == "huge":
                self.answer(200, INDEX, b'{"manifests": "' + b"x" * (6 << 20) + b'"}')
            elif name == "old":
                body = {"schemaVersion": 1, "name": "lab/old", "tag": "1", "architecture": "amd64", "fsLayers": [], "history": []}
                self.answer(200, SCHEMA1, json.dumps(body).encode())
            else:
                digest = reference if reference.startswith("sha256:") else registry.tops.get(name, "")
                data = registry.blobs.by_digest.get(digest)
                if data is None:
                    error = {"code": "MANIFEST_UNKNOWN", "message": "manifest unknown"}
                    self.answer(404, "application/json", json.dumps({"errors": [error]}).encode())
                    return
                media = "application/octet-stream" if kind == "blobs" else INDEX if b'"manifests"' in data else MANIFEST
                self.answer(200, media, data, {"Docker-Content-Digest": digest})

        def answer(self, status: int, kind: str, data: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    registry.address = f"127.0.0.1:{server.server_address[1]}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield registry
    finally:
        server.shutdown()
        server.server_close()
