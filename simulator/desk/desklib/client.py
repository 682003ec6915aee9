"""Talk to the hardware daemon over its socket, one JSON document per line."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

from .desk import STATE_DIR


class Session:
    """One open connection; what it registered lasts until it is closed."""

    def __init__(self, path: Path | None = None, timeout: float = 10.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        self._socket.connect(str(path or STATE_DIR / "hw.sock"))
        self._buffer = b""

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while b"\n" not in self._buffer:
            chunk = self._socket.recv(65536)
            if not chunk:
                raise OSError("the hardware daemon closed the connection")
            self._buffer += chunk
        line, self._buffer = self._buffer.split(b"\n", 1)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        self._socket.close()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()


def ask(request: dict[str, Any], path: Path | None = None) -> dict[str, Any]:
    """One request, one answer.  Raises OSError when the daemon cannot be reached."""
    with Session(path) as session:
        return session.ask(request)
