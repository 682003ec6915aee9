# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every reader takes any text: no exception, bounded time, and an answer that is JSON."""

from __future__ import annotations

import importlib
import json
import time
from pathlib import Path

import pytest
from ansible_collections.labops.dgx_spark.plugins.module_utils import readers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

FOLDER = Path(readers.__path__[0])
SAMPLES = Path(__file__).parent / "samples"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if "\ndef read(" in path.read_text())
SECONDS = 10.0
"""CPU time that a huge text may take on a slow machine; a backtracking pattern takes minutes."""

WORDS = sorted(
    {
        word
        for path in sorted(SAMPLES.glob("*.txt"))
        for word in path.read_text(encoding="utf-8").replace("=", " = ").replace(":", " : ").split()[:300]
    }
)


def reader(name: str):
    return importlib.import_module(f"{readers.__name__}.{name}").read


def plain(value):
    """The value through JSON and UTF-8, as results travel."""
    return json.dumps(value, allow_nan=False).encode("utf-8")


def test_readers_are_found():
    assert len(NAMES) >= 13
    assert {"dgx_release", "nccl_tests", "perftest", "netplan"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(text=st.text(max_size=400))
def test_any_text(name, text):
    plain(reader(name)(text))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.binary(max_size=400))
def test_any_bytes(name, data):
    plain(reader(name)(data.decode("utf-8", "replace")))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(words=st.lists(st.sampled_from([*WORDS, "\n", "\n", "\t", ":", "=", "#", "[", "]", "{", "}", "\x00"]), max_size=60))
def test_shuffled_words_of_real_layouts(name, words):
    plain(reader(name)(" ".join(words)))


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_torn_samples(name, data):
    samples = sorted(SAMPLES.glob(f"{name}*.txt")) or sorted(SAMPLES.glob("*.txt"))
    text = data.draw(st.sampled_from(samples)).read_text(encoding="utf-8")
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, len(text)))
    noise = data.draw(st.text(max_size=5))
    plain(reader(name)(text[:begin] + noise + text[begin:end]))


HUGE = {
    "one line": "a" * 10_000_000,
    "digits": "1" * 2_000_000,
    "spaces": " " * 2_000_000,
    "lines": "\n" * 2_000_000,
    "nul": "\x00" * 2_000_000,
    "replaced": "\ufffd" * 3_000_000,
    "braces": "{" * 200_000,
    "brackets": "[" * 200_000,
    "quotes": '"' * 3_000_000,
    "pairs": "a=b " * 1_000_000,
    "colons": "a: " * 2_000_000,
    "words": "gid[1]=0:0 NCCL INFO 12 3.4 Rank 0 port 1 ==> x (" * 100_000,
    "short lines": "1 2 float none -1 3.0 4.0\n" * 200_000,
    "carriage returns": "Speed: 1\r" * 500_000,
    "anchors": "a: &a [x]\n" + "".join(f"b{n}: &b{n} [*a, *a]\n" for n in range(2000)),
    "bomb": "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n" for n in range(1, 60)),
    "laughs": "network: &n0 [x]\n" + "".join(f"k{n}: &n{n} [*n{n - 1}, *n{n - 1}, *n{n - 1}]\n" for n in range(1, 40)),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shape", sorted(HUGE))
def test_huge_text_in_bounded_time(name, shape):
    begun = time.process_time()
    plain(reader(name)(HUGE[shape]))
    assert time.process_time() - begun < SECONDS


@pytest.mark.parametrize("name", NAMES)
def test_no_text(name):
    plain(reader(name)(""))
    plain(reader(name)("\n"))
