# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The GPU, and what nvidia-smi says at all."""

from __future__ import annotations

from typing import Any

from ..desk import INFOROM, MISSING, Answer
from ..model.driver import Gpu
from ..readers import gpu_information, nvidia_smi_csv, nvidia_smi_error, nvidia_smi_q, nvidia_smi_table
from ..readers import text as _text
from .ask import Ask, Source, first
from .options import Options
from .pci import pci

DETAIL = ("nvidia-smi", "-q")
_COLUMNS = (
    "index,name,pci.bus_id,driver_version,vbios_version,compute_cap,persistence_mode,clocks.sm,clocks.max.sm,power.draw,"
    "temperature.gpu,utilization.gpu"
)
QUERY = ("nvidia-smi", f"--query-gpu={_COLUMNS}", "--format=csv")
SAME_COLUMNS = {
    "gpu_name": "name",
    "gpu_bus_id": "pci.bus_id",
    "vbios": "vbios_version",
    "clocks.current.sm": "clocks.sm",
    "clocks.gr": "clocks.sm",
    "clocks.current.graphics": "clocks.sm",
    "clocks.max.gr": "clocks.max.sm",
    "clocks.max.graphics": "clocks.max.sm",
    "power.draw.instant": "power.draw",
    "power.draw.average": "power.draw",
    "compute_capability": "compute_cap",
    "kmd_version": "driver_version",
}
"""Other names of a column (nvidia-smi --help-query-gpu), and the graphics clock, which on GB10 is the SM's."""
TABLE = ("nvidia-smi",)


class Smi:
    """Everything that nvidia-smi told, whichever way it was asked."""

    def __init__(self) -> None:
        self.detail: dict[str, Any] | None = None
        self.records: list[dict[str, Any]] = []
        self.table: dict[str, Any] | None = None
        self.error: str | None = None
        """What it said instead of an answer."""
        self.missing = False
        self.sources: list[Source] = []
        self.raw = ""
        """Text of the failed answer."""
        self.dead: list[str] = []
        """Words such as ``GPU requires reset`` that stood in place of readings."""
        self.warned: list[str] = []
        """Warnings beside the readings."""

    def value(self, detail: str, column: str) -> Any:
        """A value of the first GPU: from -q, else from a query."""
        gpus = self.detail["gpus"] if self.detail else []
        return first([gpus[0].get(detail) if gpus else None, self.records[0].get(column) if self.records else None])

    @property
    def hung(self) -> bool:
        """Whether it was asked and never answered within its time limit."""
        asked = [source.error for source in self.sources if isinstance(source, Answer)]
        return not self.worked and "timeout" in asked and self.error is None and not self.missing

    @property
    def worked(self) -> bool:
        """Whether any answer was one."""
        return self.described or bool(self.detail and self.detail["driver_version"])

    @property
    def described(self) -> bool:
        """Whether any answer tells of a GPU; one that was cut off behind its head does not."""
        return bool((self.detail and self.detail["gpus"]) or self.records or (self.table and self.table["gpus"]))


def smi(ask: Ask) -> Smi:
    """nvidia-smi's answers, asked once."""
    return ask.memo("smi", lambda: _ask_smi(ask))


def _ask_smi(ask: Ask) -> Smi:
    found = Smi()
    detail = ask.run(*DETAIL)
    query = ask.run(*QUERY)
    for answer in (detail, query):
        _judge(found, answer)
    if detail.ok:
        read = nvidia_smi_q.read(detail.stdout)
        if read["gpus"] or read["driver_version"]:
            found.detail = read
    if query.ok:
        answered = nvidia_smi_csv.read(query.stdout)
        found.records = [_renamed(record) for record in answered["records"]]
        found.dead += answered["dead"]
    if not found.records and not found.missing and found.error is None:
        found.records = _recorded_queries(ask, found)
    if found.detail is None:
        found.detail = _recorded_details(ask)
    if (not found.worked and not found.hung) or (found.detail is None and ask.recorded(*TABLE)):
        answer = ask.run(*TABLE)
        _judge(found, answer)
        if answer.ok:
            found.table = nvidia_smi_table.read(answer.stdout)
    for told in (found.detail, found.table):
        found.dead += [word for gpu in (told["gpus"] if told else []) for word in gpu["dead"]]
    return found


def _judge(found: Smi, answer: Any) -> None:
    """Keep an error: its text decides, because nvidia-smi may print one and still return 0."""
    found.sources.append(answer)
    found.warned += [_text.word(line, 200) or "" for line in answer.stderr.splitlines() if line.startswith(INFOROM)]
    if answer.error == MISSING:
        found.missing = True
        return
    said = nvidia_smi_error.read(answer.stdout) or nvidia_smi_error.read(answer.stderr) if answer.error is None else None
    if said is None and answer.error is None and answer.rc:
        said = (answer.stderr.strip() or answer.stdout.strip()).partition("\n")[0][:200] or f"exit code {answer.rc}"
    # An nvidia-smi that does not know a column refuses the question; that says nothing about the driver.
    if said is not None and "not a valid field" not in said and found.error is None:
        found.error = said
        found.raw = f"{answer.stdout}\n{answer.stderr}"[:4000]


def _renamed(record: dict[str, Any]) -> dict[str, Any]:
    """A record with one name for each column; the exact name wins over a similar one."""
    renamed: dict[str, Any] = {}
    for name, value in sorted(record.items(), key=lambda pair: pair[0] in SAME_COLUMNS):
        renamed.setdefault(SAME_COLUMNS.get(name, name), value)
    return renamed


def _recorded_queries(ask: Ask, found: Smi) -> list[dict[str, Any]]:
    """What a recording's queries tell together, whichever columns and format their author chose; a live desk is never asked them."""
    merged: list[dict[str, Any]] = []
    for argv in ask.recorded("nvidia-smi"):
        columns = next((word.partition("=")[2] for word in argv if word.startswith("--query-gpu=")), None)
        answer = ask.run(*argv) if columns else None
        if answer is None or answer.error is not None:
            continue
        _judge(found, answer)
        bare = any("noheader" in word for word in argv)
        read = nvidia_smi_csv.read(f"{columns}\n{answer.stdout}" if bare else answer.stdout) if answer.ok else {"records": [], "dead": []}
        found.dead += read["dead"]
        for place, record in enumerate(read["records"][:16]):
            if place >= len(merged):
                merged.append({})
            for name, value in _renamed(record).items():
                if merged[place].get(name) is None:
                    merged[place][name] = value
    return merged


def _recorded_details(ask: Ask) -> dict[str, Any] | None:
    """A recording's ``nvidia-smi -q`` with other options (-d POWER, -i 0)."""
    for argv in ask.recorded("nvidia-smi"):
        if argv != DETAIL and "-x" not in argv and ("-q" in argv or "--query" in argv):
            answer = ask.run(*argv)
            read = nvidia_smi_q.read(answer.stdout) if answer.ok else {"gpus": [], "driver_version": None}
            if read["gpus"] or read["driver_version"]:
                return read
    return None


def gpu_names(ask: Ask) -> list[str]:
    """Names of the GPUs that nvidia-smi shows."""
    told = smi(ask)
    names = [gpu["product_name"] for gpu in (told.detail["gpus"] if told.detail else [])]
    names += [record.get("name") for record in told.records]
    names += [gpu["name"] for gpu in (told.table["gpus"] if told.table else [])]
    return [name for name in names if isinstance(name, str)]


def gather(ask: Ask, options: Options) -> Gpu:
    """nvidia-smi, else /proc/driver/nvidia/gpus; null where GB10 answers Not Supported."""
    told = smi(ask)
    listed = _information(ask)
    names = gpu_names(ask)
    # Of a second GPU whose lines may be a process's name only the number is certain.
    count = max(len(told.detail["gpus"]), told.detail["attached_gpus"] or 0) if told.detail and told.detail["gpus"] else None
    count = count or (len(told.records) or None) or (len(told.table["gpus"]) if told.table and told.table["gpus"] else None)
    present: bool | None = True if count else None
    none_attached = told.detail is not None and told.detail["attached_gpus"] == 0 and not told.described
    if none_attached or (told.error and "No devices were found" in told.error):
        present, count = False, 0
    elif present is None and pci(ask).gb10():
        present = True
    ask.told("gpu.present", present, told.error, *told.sources[:2])
    table = told.table["gpus"][0] if told.table and told.table["gpus"] else {}
    values: dict[str, Any] = {
        "name": first([names[0] if names else None, listed.get("model")]),
        "bus_id": first([told.value("bus_id", "pci.bus_id"), table.get("bus_id"), listed.get("bus_id")]),
        "compute_capability": told.value("", "compute_cap"),
        "clock_sm_mhz": _number(told.value("clock_sm_mhz", "clocks.sm")),
        "clock_sm_max_mhz": _number(told.value("clock_sm_max_mhz", "clocks.max.sm")),
        "power_draw_w": _number(first([told.value("power_draw_w", "power.draw"), table.get("power_draw_w")])),
        "temperature_c": _number(first([told.value("temperature_c", "temperature.gpu"), table.get("temperature_c")])),
        "utilisation_percent": _number(first([told.value("utilisation_percent", "utilization.gpu"), table.get("utilisation_percent")])),
        "vbios_version": first([told.value("vbios_version", "vbios_version"), listed.get("vbios")]),
    }
    for key, value in values.items():
        if value is None and (not told.described or told.dead):
            cut = "nvidia-smi's answer describes no GPU" if told.worked and not told.described else None
            ask.miss(f"gpu.{key}", told.error, cut, ", ".join(dict.fromkeys(told.dead)) or None, *told.sources[:2])
    if values["compute_capability"] is not None:
        values["compute_capability"] = str(values["compute_capability"])
    reset = told.detail["gpus"][0]["reset_kind"] if told.detail and told.detail["gpus"] else None
    action = told.value("recovery_action", "gpu_recovery_action")
    return Gpu(
        present=present,
        count=count,
        kernel_driver=next((pci(ask).drivers.get(address) for address in pci(ask).gb10()), None),
        smi=_state(told),
        warnings=tuple(dict.fromkeys(told.warned))[:8],
        dead_readings=tuple(dict.fromkeys(told.dead))[:8],
        recovery_action=reset if reset and action in (None, "None") else action,
        addressing_mode=told.value("addressing_mode", "addressing_mode"),
        **values,
    )


def _state(told: Smi) -> str | None:
    """How nvidia-smi answered."""
    if told.missing:
        return "missing"
    if told.worked:
        return "answered"
    if told.error:
        return "refused"
    return "timeout" if told.hung else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def _information(ask: Ask) -> dict[str, Any]:
    for folder in ask.names("/proc/driver/nvidia/gpus")[:1]:
        return gpu_information.read(ask.text(f"/proc/driver/nvidia/gpus/{folder}/information").text or "")
    return {}


def gsp_version(ask: Ask) -> str | None:
    """GSP firmware version: nvidia-smi -q, else the driver's own file."""
    found: str | None = first([smi(ask).value("gsp_version", "gsp_version"), _information(ask).get("firmware")])
    return found
