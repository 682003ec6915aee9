"""The hardware of a simulated desk: a daemon that keeps /sys, counters and the kernel log true.

It follows links and addresses through netlink and the desk's description through requests on its socket (JSON lines):

* ``{"op": "reload"}``: read desk.json again, make the fakes follow, answer when done;
* ``{"op": "rdma", "device": D, "tx_bytes": N, "rx_bytes": N}``: traffic went through a device;
* ``{"op": "state"}``: all that the stand-ins need to know;
* ``{"op": "bench", "device": D, "direction": "tx|rx|both"}``: a benchmark runs as long as this connection lives;
* ``{"op": "overlap"}``: seconds that the benchmark of this connection ran beside others, by device;
* ``{"op": "listen", "device": D, "token": HEX}`` then ``{"op": "arrived", "token": HEX, "timeout": S}``: octets of a
  transfer that came in on a device;
* ``{"op": "send", "device": D, "token": HEX, "gid": I, "peer_ip": A, "peer_mac": M, "payload": N, "bytes": N}``: put
  frames on the wire of a device (answers when they are out);
* ``{"op": "klog", "lines": [[priority, text], ...]}``: the kernel says something;
* ``{"op": "ping"}``.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from . import fabric, fakes, klog, machine, mounts, netlink, recording
from .counters import Traffic
from .desk import RUN_DIR, STATE_DIR, Desk, load, unknown_faults
from .effects import Effects
from .view import Function, functions

SYS = Path("/sys")
COUNTERS_EVERY = 0.5
"""Seconds after which a virtual machine's port counters follow its interfaces'."""


@dataclass
class Bench:
    """A benchmark that is running on one device."""

    device: str
    direction: str
    started: float
    pid: int = 0
    comm: str = ""
    qps: int = 1
    others: dict[str, float] = field(default_factory=dict)


class Hardware:
    """State of one desk's hardware; ``mount`` is off where nothing may be mounted (unit tests)."""

    def __init__(self, state_dir: Path = STATE_DIR, run_dir: Path = RUN_DIR, mount: bool = True, effects: bool = True) -> None:
        self.state_dir, self.run_dir, self.mount = state_dir, run_dir, mount
        self.desk: Desk = load(state_dir)
        self.recorded = recording.load(state_dir / "recording") is not None
        self.log = klog.Log(state_dir / "klog.jsonl")
        self.effects = Effects(run_dir / "effects.json") if effects else None
        self.sync = fakes.Sync(run_dir / "tree")
        self.sync.adopt(run_dir / "manifest.json")
        self.links: dict[str, netlink.Link] = {}
        self.functions: list[Function] = []
        self.traffic: dict[str, Traffic] = {}
        self.mounted: dict[str, tuple[Path, int, tuple[str, ...]]] = {}
        self.carriers: dict[str, bool] = {}
        self.benches: dict[int, Bench] = {}
        self.receivers: dict[bytes, fabric.Receiver] = {}
        self.owners: dict[int, list[bytes]] = {}
        self._load_traffic()

    # -- persisted counters ------------------------------------------------------------------------------------

    def _load_traffic(self) -> None:
        """Counters last as long as the boot they belong to."""
        with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
            stored = json.loads((self.state_dir / "hardware.json").read_text(encoding="utf-8"))
            if stored["boot_id"] == self.desk.boot_id:
                self.traffic = {k: Traffic(**v) for k, v in stored["traffic"].items()}

    def _save_traffic(self) -> None:
        document = {"boot_id": self.desk.boot_id, "traffic": {k: v.as_dict() for k, v in self.traffic.items()}}
        target = self.state_dir / "hardware.json"
        new = target.with_suffix(".new")
        new.write_text(json.dumps(document), encoding="utf-8")
        os.replace(new, target)

    # -- following the world -----------------------------------------------------------------------------------

    def start(self) -> None:
        """First look: fakes for what is there, and the log of this boot if it has none yet."""
        self.links = netlink.links() if self.mount else {}
        self.functions = functions(self.desk, self.links)
        self.carriers = {f.netdev: f.carrier for f in self.functions}
        if self.log.boot_key() != self.desk.boot_id:
            at_boot = [f for f in self.desk.data["functions"] if f.get("present", True) or not self.desk.powered]
            lines = klog.boot_lines(self.desk, at_boot, self.carriers) + klog.flap_lines(self.desk)
            if self.desk.hotplug_enabled and not self.desk.powered:
                lines += klog.removal_lines(float(self.desk.model.get("hotplug", {}).get("removal_delay_s", 15)))
            self.log.start(self.desk, lines)
            self.traffic = {}
            self._save_traffic()
        self.refresh()

    def refresh(self) -> None:
        """Read the links and make /sys follow."""
        if self.mount:
            self.links = netlink.links()
        self.functions = functions(self.desk, self.links)
        now = klog.since_boot(self.desk)
        changed = [f for f in self.functions if f.live and self.carriers.get(f.netdev, False) != f.carrier]
        if changed:
            self.log.append([klog.carrier_line(f, now) for f in changed])
        self.carriers = {f.netdev: f.carrier for f in self.functions}
        tree = fakes.tree(self.desk, self.functions, self.links, self.traffic)
        wanted = self._overlays(tree) if self.mount else {}
        for name in [n for n, v in self.mounted.items() if wanted.get(n) != v]:
            mounts.detach(self.mounted.pop(name)[0])
        paths = set(self.sync._before)
        self.sync.apply(tree)
        if set(tree) != paths:
            self.sync.save(self.run_dir / "manifest.json")
        for name, entry in wanted.items():
            if name not in self.mounted:
                self._mount_device(name, entry)

    def _overlays(self, tree: fakes.Tree) -> dict[str, tuple[Path, int, tuple[str, ...]]]:
        wanted = {}
        for function in self.functions if self.desk.virtual else ():
            if function.live:
                place = fakes.device_path(function.pci)
                keys = tuple(sorted(p for p in tree if p.startswith(f"up/{function.rdma}/")))
                wanted[function.rdma] = (SYS / place / "infiniband" / function.rdma, self.links[function.netdev].index, keys)
        for path in tree:
            head, _, name = path.rstrip("/").rpartition("/net/")
            if self.recorded and not head.startswith(("devices/pci0007", "devices/pci0009")):
                # A recording lies over the adapter: its interfaces are told and not live.
                continue
            if path.endswith("/") and head.startswith("devices/") and name in self.links:
                keys = tuple(sorted(p for p in tree if p.startswith(f"up/{name}/")))
                wanted[name] = (SYS / path.rstrip("/"), self.links[name].index, keys)
        return wanted

    def _mount_device(self, name: str, entry: tuple[Path, int, tuple[str, ...]]) -> None:
        target = entry[0]
        live = machine.rdma_folder(name) if target.parent.name == "infiniband" else machine.netdev_folder(name)
        mounts.detach(target)
        try:
            mounts.overlay([self.run_dir / "tree/up" / name, live], target)
        except OSError as error:
            # The device went away in between; the next event comes soon.
            print(f"hardwared: {name}: {error}", file=sys.stderr, flush=True)
            return
        self.mounted[name] = entry

    def count(self) -> None:
        """Let the port counters of a virtual machine follow its interfaces."""
        for function in self.functions:
            for name in machine.COUNTERS if function.live else ():
                path = self.run_dir / "tree/up" / function.rdma / "ports/1/counters" / name
                with contextlib.suppress(OSError):
                    fakes.write_text(path, f"{machine.port_counter(function.netdev, name)}\n")

    def reload(self) -> dict[str, Any]:
        """Read desk.json again."""
        old, self.desk = self.desk, load(self.state_dir)
        if self.log.boot_key() == self.desk.boot_id:
            self.log.append(klog.change_lines(old, self.desk, klog.since_boot(self.desk)))
            if self.desk.fault("flapping") is not None and old.fault("flapping") is None:
                self.log.append(klog.flap_lines(self.desk))
        if self.effects is not None:
            self.effects.apply(self.desk)
        self.refresh()
        unknown = unknown_faults(self.desk.faults)
        # The lab refuses names that neither half knows; what only the lab knows changes nothing in here.
        return {"ok": True, "ignored_faults": unknown} if unknown else {"ok": True}

    # -- requests ----------------------------------------------------------------------------------------------

    def answer(self, request: dict[str, Any], connection: int) -> dict[str, Any]:
        """Serve one request.  A bad one gets an error, never an exception."""
        operation = request.get("op")
        if operation == "ping":
            return {"ok": True}
        if operation == "reload":
            return self.reload()
        if operation == "state":
            return self.state()
        if operation == "rdma":
            return self.credit(request)
        if operation == "bench":
            return self.bench(request, connection)
        if operation == "overlap":
            bench = self.benches.get(connection)
            if bench is None:
                return {"ok": False, "error": "no benchmark runs on this connection"}
            self._settle(time.monotonic())
            return {"ok": True, "seconds": time.monotonic() - bench.started, "others": bench.others}
        if operation == "listen":
            function, token = self._function(request), bytes.fromhex(str(request["token"]))
            self.receivers[token] = fabric.Receiver(function.netdev, function.mac, token)
            self.owners.setdefault(connection, []).append(token)
            return {"ok": True}
        if operation == "klog":
            now = klog.since_boot(self.desk)
            self.log.append([klog.Line(now, int(p), str(t)) for p, t in request.get("lines", [])])
            return {"ok": True}
        return {"ok": False, "error": f"unknown request {operation!r}"}

    def state(self) -> dict[str, Any]:
        return {
            "ok": True,
            "name": self.desk.name,
            "boot_id": self.desk.boot_id,
            "functions": [asdict(f) for f in self.functions],
            "links": {name: asdict(link) for name, link in self.links.items()},
            "traffic": {k: v.as_dict() for k, v in self.traffic.items()},
            "benches": [asdict(bench) for bench in self.benches.values()],
            "processes": self.effects.processes() if self.effects else {},
        }

    def credit(self, request: dict[str, Any]) -> dict[str, Any]:
        device = str(request.get("device"))
        function = next((f for f in self.functions if f.rdma == device), None)
        if function is None:
            return {"ok": False, "error": f"no RDMA device {device}"}
        if self.desk.fault("rdma_counters_still") is None:
            data = self.traffic.setdefault(device, Traffic())
            data.add(int(request.get("tx_bytes", 0)), int(request.get("rx_bytes", 0)), function.roce_mtu)
            self._save_traffic()
            self.refresh()
        return {"ok": True}

    def bench(self, request: dict[str, Any], connection: int) -> dict[str, Any]:
        now = time.monotonic()
        self._settle(now)
        self.benches[connection] = Bench(
            str(request.get("device")),
            str(request.get("direction", "tx")),
            now,
            int(request.get("pid", 0)),
            str(request.get("comm", "")),
            int(request.get("qps", 1)),
        )
        return {"ok": True}

    def slow(self, request: dict[str, Any]) -> dict[str, Any]:
        """Requests that wait for the wire; each is served in a thread of its own."""
        try:
            token = bytes.fromhex(str(request["token"]))
            if request["op"] == "arrived":
                receiver = self.receivers.pop(token, None)
                if receiver is None:
                    return {"ok": False, "error": "nobody listens for this transfer"}
                try:
                    return {"ok": True, "bytes": receiver.wait(float(request.get("timeout", 5)))}
                finally:
                    receiver.close()
            return self._send(request, token)
        except (OSError, ValueError, KeyError, TypeError) as error:
            return {"ok": False, "error": f"{type(error).__name__}: {error}"}

    def _send(self, request: dict[str, Any], token: bytes) -> dict[str, Any]:
        function = self._function(request)
        peer_ip = str(request["peer_ip"])
        own_ip = function.ipv4 or "0.0.0.0"
        mac = str(request["peer_mac"])
        if ":" not in peer_ip:
            found = fabric.resolve(function.netdev, function.mac, own_ip, peer_ip)
            if found is None:
                return {"ok": False, "error": f"nobody answers for {peer_ip} on {function.netdev}", "unresolved": True}
            mac = found
        sent = fabric.send(function.netdev, function.mac, mac, own_ip, peer_ip, token, int(request["payload"]), int(request["bytes"]))
        return {"ok": True, "bytes": sent, "mac": mac}

    def _function(self, request: dict[str, Any]) -> Function:
        device = str(request.get("device"))
        function = next((f for f in self.functions if f.rdma == device and f.live), None)
        if function is None:
            raise ValueError(f"no RDMA device {device}")
        return function

    def _settle(self, now: float) -> None:
        """Book the time in which benchmarks ran side by side."""
        for key, bench in self.benches.items():
            bench.others = dict(bench.others)
            for other_key, other in self.benches.items():
                if other_key != key and other.device != bench.device:
                    since = max(bench.started, other.started, self._settled)
                    bench.others[other.device] = bench.others.get(other.device, 0.0) + max(0.0, now - since)
        self._settled = now

    _settled = 0.0

    def closed(self, connection: int) -> None:
        if connection in self.benches:
            self._settle(time.monotonic())
            del self.benches[connection]
        for token in self.owners.pop(connection, []):
            receiver = self.receivers.pop(token, None)
            if receiver is not None:
                receiver.close()


class Server:
    """One loop over netlink events and requests."""

    def __init__(self, hardware: Hardware) -> None:
        self.hardware = hardware
        self.selector = selectors.DefaultSelector()
        self.buffers: dict[socket.socket, bytes] = {}
        self.dirty_since: float | None = None

    def listen(self) -> None:
        path = self.hardware.state_dir / "hw.sock"
        path.unlink(missing_ok=True)
        server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        server.bind(str(path))
        path.chmod(0o666)
        server.listen(64)
        server.setblocking(False)
        self.selector.register(server, selectors.EVENT_READ, "accept")
        events = netlink.subscribe()
        self.selector.register(events, selectors.EVENT_READ, "netlink")

    def run(self) -> None:
        """Serve until SIGTERM."""
        stop = False
        bell, ear = socket.socketpair()
        self.selector.register(ear, selectors.EVENT_READ, "stop")

        def on_term(_signal: int, _frame: object) -> None:
            # Python goes back into select after a signal; only something to read ends the wait.
            nonlocal stop
            stop = True
            bell.send(b".")

        signal.signal(signal.SIGTERM, on_term)
        while not stop:
            timeout = 60.0 if self.dirty_since is None else 0.03
            if self.hardware.desk.virtual:
                # The kernel tells of links and addresses; of traffic it does not.
                timeout = min(timeout, COUNTERS_EVERY)
            ready = self.selector.select(timeout)
            if self.hardware.desk.virtual and not ready:
                self.hardware.count()
            for key, _mask in ready:
                if key.data != "stop":
                    self._serve(key)
            quiet = not any(key.data == "netlink" for key, _mask in ready)
            if self.dirty_since is not None and (quiet or time.monotonic() - self.dirty_since > 0.3):
                self.dirty_since = None
                self._guard(self.hardware.refresh)

    def _serve(self, key: selectors.SelectorKey) -> None:
        sock = key.fileobj
        assert isinstance(sock, socket.socket)
        if key.data == "netlink":
            netlink.drain(sock)
            if self.dirty_since is None:
                self.dirty_since = time.monotonic()
        elif key.data == "accept":
            client, _address = sock.accept()
            client.settimeout(5)
            self.buffers[client] = b""
            self.selector.register(client, selectors.EVENT_READ, "client")
        else:
            self._client(sock)

    def _client(self, sock: socket.socket) -> None:
        try:
            data = sock.recv(65536)
        except OSError:
            data = b""
        if not data:
            self.hardware.closed(id(sock))
            self.selector.unregister(sock)
            del self.buffers[sock]
            sock.close()
            return
        self.buffers[sock] += data
        while b"\n" in self.buffers[sock]:
            line, self.buffers[sock] = self.buffers[sock].split(b"\n", 1)
            try:
                request = json.loads(line)
                if request.get("op") in ("send", "arrived"):
                    threading.Thread(target=self._slow, args=(sock, request), daemon=True).start()
                    continue
                answer = self.hardware.answer(request, id(sock))
            except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
                answer = {"ok": False, "error": f"{type(error).__name__}: {error}"}
            with contextlib.suppress(OSError):
                sock.sendall(json.dumps(answer).encode() + b"\n")

    def _slow(self, sock: socket.socket, request: dict[str, Any]) -> None:
        answer = self.hardware.slow(request)
        with contextlib.suppress(OSError):
            sock.sendall(json.dumps(answer).encode() + b"\n")

    def _guard(self, act: Any) -> None:
        try:
            act()
        except OSError as error:
            print(f"hardwared: {error}", file=sys.stderr, flush=True)


def _compile() -> subprocess.Popen[bytes]:
    """Compile the stand-ins once, where every user of the desk can read the result."""
    folder = Path(__file__).resolve().parent
    return subprocess.Popen(
        ["nice", sys.executable, "-X", f"pycache_prefix={RUN_DIR / 'pycache'}", "-m", "compileall", "-q", str(folder)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def main(arguments: list[str]) -> int:
    """``--once``: make the fakes and return (before systemd runs); else serve."""
    os.umask(0o022)
    hardware = Hardware(effects="--once" not in arguments)
    if "--once" in arguments:
        hardware.start()
        return 0
    server = Server(hardware)
    server.listen()
    hardware.start()
    if hardware.effects is not None:
        hardware.effects.apply(hardware.desk, booting=True)
        hardware.refresh()
    compiled = _compile()
    server.run()
    compiled.terminate()
    return 0
