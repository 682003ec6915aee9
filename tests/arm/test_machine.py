# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What depends on the processor, under an aarch64 Python (tests/arm_test.sh). `uname` is another program, and so this machine's."""

from __future__ import annotations

import ctypes
import platform
import struct
import sys

from ansible_collections.labops.dgx_spark.plugins.module_utils import frames
from ansible_collections.labops.dgx_spark.plugins.module_utils.model.frame import Speaker


def test_this_python_is_what_the_test_is_for() -> None:
    assert (platform.machine(), sys.byteorder, ctypes.sizeof(ctypes.c_void_p)) == ("aarch64", "little", 8)


def test_a_frame_has_the_same_bytes_as_on_any_machine() -> None:
    speaker = Speaker("enp1s0f0np0", "02:00:5e:00:01:00", 0)
    frame = frames.encode(speaker, "desk-01", "run", ())
    assert len(frame) >= 60 and frame[:6] == b"\xff" * 6 and struct.unpack("!H", frame[12:14]) == (frames.ETHERTYPE,)
    assert frames.decode(frame, "run") == ("02:00:5e:00:01:00", "desk-01", 0, ())
