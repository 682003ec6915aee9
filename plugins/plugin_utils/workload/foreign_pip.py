# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip, for another machine: run as a program, ``python -I foreign_pip.py ENVIRONMENT ARGUMENTS...``.

With a foreign --platform pip still evaluates the markers of dependencies for the machine that it runs on. Here they are evaluated for the
desk (ENVIRONMENT: marker names and values as JSON). If this pip keeps them elsewhere, the program says so and resolves nothing.
"""

from __future__ import annotations

import json
import sys

REFUSED = 97
"""Exit status when this pip cannot be told the desk's environment."""


def main(arguments: list[str]) -> int:
    """Set the environment, prove that it counts, run pip."""
    wanted = json.loads(arguments[0])
    try:
        from pip._vendor.packaging import markers
    except ImportError:
        print("No module named pip", file=sys.stderr)
        return REFUSED
    own = dict(markers.default_environment())
    markers.default_environment = lambda: {**own, **wanted}
    if not all(markers.Marker(f"{name} == '{value}'").evaluate() for name, value in wanted.items() if name in ("platform_machine", "python_version")):
        print("this pip evaluates markers in another way", file=sys.stderr)
        return REFUSED
    from pip._internal.cli.main import main as pip

    return int(pip(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
