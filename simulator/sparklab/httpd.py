"""The web server of the lab's apt archives, inside the lab's namespace: `<host name>/<path>` from the folder `<host name>/`.

Faults are read from `faults.json` beside that folder: client address -> {fault: parameters}.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class Handler(SimpleHTTPRequestHandler):
    """Serves one folder per host name, for reading only."""

    protocol_version = "HTTP/1.1"
    timeout = 30

    def translate_path(self, path: str) -> str:
        host = (self.headers.get("Host") or "unknown").split(":")[0].lower().replace("/", "").lstrip(".")
        self.directory = str(Path(self.server.root) / (host or "unknown"))  # type: ignore[attr-defined]
        return super().translate_path(path)

    def list_directory(self, path: Any) -> None:
        self.send_error(404)

    def faults(self) -> dict[str, Any]:
        """The faults of the desk that asks."""
        with contextlib.suppress(OSError, ValueError):
            text = (Path(self.server.root).parent / "archive-faults.json").read_text(encoding="utf-8")  # type: ignore[attr-defined]
            return dict(json.loads(text).get(self.client_address[0], {}))
        return {}

    def do_GET(self) -> None:
        faults = self.faults()
        host = (self.headers.get("Host") or "").split(":")[0]
        if "archive_unreachable" in faults and faults["archive_unreachable"].get("host", host) == host:
            self.close_connection = True
            return
        if "archive_slow" in faults:
            time.sleep(float(faults["archive_slow"].get("seconds", 20)))
        bad = faults.get("archive_bad_checksum")
        if bad is not None and self.path.endswith(".deb") and str(bad.get("package", "")) in self.path:
            with contextlib.suppress(OSError):
                body = bytearray(Path(self.translate_path(self.path)).read_bytes())
                body[-1] ^= 0xFF
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.send_header("Content-Type", "application/vnd.debian.binary-package")
                self.end_headers()
                self.wfile.write(body)
                return
        super().do_GET()

    def log_message(self, format: str, *args: Any) -> None:
        print(time.strftime("%H:%M:%S"), self.client_address[0], format % args, flush=True)


class Server(ThreadingHTTPServer):
    """A threading server that knows its root folder."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], root: str) -> None:
        self.root = root
        super().__init__(address, partial(Handler, directory=root))


def main(root: str, address: str) -> int:
    """Serve for ever."""
    Server((address, 80), root).serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
