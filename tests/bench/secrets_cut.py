# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What looking for secrets costs for each character of a text that somebody wrote to make it slow.

PYTHONPATH=.collections python3 tests/bench/secrets_cut.py

A report looks through everything that all desks said: each line should stay below 5 microseconds a character.
"""

from __future__ import annotations

import time

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.secret_shapes import cut

LINES = {
    "hyphens": "-" * 4000,
    "blanks": " " * 4000,
    "a hyphen, blanks": "- " + " " * 3998,
    "blanks, then a key": " " * 3990 + "password",
    "a key, then blanks": ("password" + " " * 392) * 10,
    "options": "--aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa " * 114,
    "begun tokens": "-eyJ" * 1000,
    "begun keys": "-----BEGIN A" * 333,
    "begun quotes": 'password="' * 400,
    "key words": "password aaaaaaa " * 235,
    "base64": ("Aa0" * 7 + " ") * 181,
    "indented": "    pass\n     x\n" * 250,
    "letters": "a" * 4000,
}


def main() -> None:
    """Print a row for each text."""
    for name, line in LINES.items():
        text = f"{line}\n" * 10
        begun = time.perf_counter()
        cut(text)
        print(f"{name:20} {(time.perf_counter() - begun) / len(text) * 1e6:8.2f} us a character")


if __name__ == "__main__":
    main()
