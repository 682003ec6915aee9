"""What package indexes, pip and wheels answered on one day: recorded once, replayed in the tests.

``python tests/unit/workload/recorded_index.py FILE.yml`` asks the real ones again for the requirements of a file of items (``item`` and
``index``), and writes ``recorded/requirements.json.gz``. It takes about half an hour and fetches some hundred megabytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / ".collections"))

from ansible_collections.labops.dgx_spark.plugins.module_utils.model.data import as_dict, from_dict
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.workload import Target, Wheel
from ansible_collections.labops.dgx_spark.plugins.module_utils.readers import pip_report, requirement_lines, simple_index
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload import fetch, offers, resolve
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.requirements import Requirements
from ansible_collections.labops.dgx_spark.plugins.plugin_utils.workload.wheels import Indexes, Looker

FILE = Path(__file__).with_name("recorded") / "requirements.json.gz"
PYPI = "https://pypi.org/simple"
SPARK = Target("aarch64", "12.1", "580.126.09", "13.0", "2.39", "3.12")


def load() -> dict[str, Any]:
    """The recording."""
    with gzip.open(FILE, "rt", encoding="utf-8") as file:
        data: dict[str, Any] = json.load(file)
    return data


class RecordedIndexes(Indexes):
    """Pages as they were."""

    def __init__(self, recording: dict[str, Any]) -> None:
        super().__init__(fetch.Web(1), [])
        self._recording = recording

    def files(self, project: str) -> list[tuple[str, simple_index.IndexFile]]:
        name = simple_index.normal(project)
        if name not in self._recording["pages"]:
            raise fetch.FetchError(f"the page of {name} was not recorded", "no_network")
        return [(PYPI, from_dict(simple_index.IndexFile, item)) for item in self._recording["pages"][name]]


class RecordedLooker(Looker):
    """Wheels as they were; what was not recorded was too large to be read."""

    def __init__(self, recording: dict[str, Any]) -> None:
        super().__init__(fetch.Web(1), Path("/nonexistent"), 1, 1)
        self._recording = recording

    def look(self, wheel: Wheel, url: str, sha256: str | None, depth: str = "whole") -> Wheel:
        told = self._recording["wheels"].get(wheel.filename)
        if told is None:
            return replace(wheel, members=1, native=("x.so",), not_read="its files with machine code are beyond the limit for reading")
        found = from_dict(Wheel, told)
        return replace(found, requires=wheel.requires, source=wheel.source)


def recorded_resolver(recording: dict[str, Any]):
    """pip as it answered."""

    def ask(text: str) -> resolve.Resolved:
        told = recording["resolutions"].get(text.strip())
        if told is None:
            return resolve.Resolved(refusal=pip_report.Refusal("no_network", words=f"not recorded: {text.strip()}"))
        # The recording holds file names; pip gives links.
        answer: resolve.Resolved = from_dict(resolve.Resolved, told)
        return replace(answer, chosen=tuple(replace(item, url=f"https://x.example/{item.url}") for item in answer.chosen))

    return ask


class _Recorder:
    def __init__(self) -> None:
        self.data: dict[str, Any] = {"resolutions": {}, "pages": {}, "wheels": {}, "stubs": {}}
        self.web = fetch.Web(30)
        self.indexes = Indexes(self.web, [])
        self.looker = Looker(self.web, Path("~/.cache/dgx_spark/workload").expanduser(), 96 << 20, 512 << 20)
        recorder = self

        class Pages(Indexes):
            def files(self, project: str) -> list[tuple[str, simple_index.IndexFile]]:
                found = recorder.indexes.files(project)
                kept = [as_dict(replace(file, url=f"https://x.example/{file.filename}")) for _index, file in found[-400:]]
                recorder.data["pages"][simple_index.normal(project)] = kept
                return found

        class Looking(Looker):
            def look(self, wheel: Wheel, url: str, sha256: str | None, depth: str = "whole") -> Wheel:
                found = recorder.looker.look(wheel, url, sha256, depth)
                # Libraries without device code need no more than their names here.
                small = tuple(
                    replace(item, relocatable=tuple(dict.fromkeys(item.relocatable)), units=tuple(dict.fromkeys(item.units)))
                    for item in found.binaries
                )
                recorder.data["wheels"][wheel.filename] = as_dict(replace(found, binaries=small, requires=()))
                return found

        self.pages, self.looking = Pages(self.web, []), Looking(self.web, Path("x"), 1, 1)

    def ask(self, text: str) -> resolve.Resolved:
        found = resolve.resolve(text, SPARK, [], 600)
        short = tuple(replace(item, url=item.url.rpartition("/")[2]) for item in found.chosen)
        self.data["resolutions"][text.strip()] = as_dict(replace(found, chosen=short))
        return found

    def run(self, item: str) -> None:
        judge = Requirements(SPARK, self.ask, self.pages, self.looking, self.web, "2026-11-26")
        for judged in judge.judge(requirement_lines.lines(item).requirements):
            print(judged.item, judged.verdict, judged.gpu, judged.reason, judged.notes, flush=True)


def main() -> None:
    """Record."""
    import yaml

    recorder = _Recorder()
    is_stub = offers._is_stub

    def noted(web: fetch.Web, file: simple_index.IndexFile) -> bool:
        found = is_stub(web, file)
        recorder.data["stubs"][file.filename] = found
        return found

    offers._is_stub = noted
    items = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))["items"]
    for entry in items:
        if entry["kind"] == "requirement" and entry["index"] == PYPI:
            recorder.run(entry["item"])
            FILE.parent.mkdir(exist_ok=True)
            FILE.write_bytes(gzip.compress(json.dumps(recorder.data, sort_keys=True).encode(), 9, mtime=0))


if __name__ == "__main__":
    main()
