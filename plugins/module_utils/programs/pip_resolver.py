# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""pip that only resolves: a program (ENVIRONMENT ARGUMENTS...) that runs on a desk, or for a desk on the controller.

Two things that pip itself does not offer. With a foreign --platform pip still evaluates the markers of dependencies for the machine that
it runs on; here they are evaluated for ENVIRONMENT (marker names and values as JSON, empty for this machine). And a link to a source
archive or a repository in somebody's metadata would be cloned or unpacked and built even by a dry run. Unpacking writes where the archive's
links lead with a Python that does not look at them, and building runs its code: that begins with its build backend, which is asked for what
it needs, before any metadata is prepared. Here what is no wheel is refused before it is fetched. If this pip keeps these things elsewhere,
the program says so and resolves nothing. Whatever else a pip may do with what an index serves, it does inside a fence: it starts no
process and writes only below a folder of its own, its cache and the folder of its report.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import tempfile
from typing import Any

from .fence import Fence

REFUSED = 97
"""Exit status when this pip cannot be made to resolve in that way."""


def main(arguments: list[str]) -> int:
    """Set the environment, prove that it counts, forbid builds, run pip."""
    wanted = json.loads(arguments[0])
    try:
        import pip  # noqa: F401  # pylint: disable=unused-import
    except ImportError:
        sys.stderr.write("No module named pip\n")
        return 1
    try:
        from pip._internal.cli.main import main as run
        from pip._internal.distributions.sdist import SourceDistribution
        from pip._internal.exceptions import InstallationError
        from pip._internal.operations import prepare
        from pip._internal.req.req_install import InstallRequirement
        from pip._internal.vcs.versioncontrol import VersionControl
        from pip._vendor.packaging import markers

        own = dict(markers.default_environment())
        markers.default_environment = lambda: {**own, **wanted}  # type: ignore[typeddict-item]
        asked = [f"{name} == '{value}'" for name, value in wanted.items() if name in ("platform_machine", "python_version")]
        sources = (SourceDistribution.prepare_distribution_metadata, InstallRequirement.prepare_metadata, VersionControl.unpack)
        unpack_url = prepare.unpack_url
        if not all(markers.Marker(text).evaluate() for text in asked) or not all(map(callable, (*sources, unpack_url))):
            raise AttributeError("markers")
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        sys.stderr.write(f"this pip cannot be used for resolving only: {type(error).__name__}\n")
        return REFUSED

    def refuse(wanted: Any, *_arguments: Any, **_options: Any) -> None:
        raise InstallationError(f"{wanted.name or wanted.link} would have to be built from source, which a check does not do")

    def refuse_source(self: Any, *_arguments: Any, **_options: Any) -> None:
        refuse(self.req)

    def refuse_repository(self: Any, _location: str, url: Any, *_arguments: Any, **_options: Any) -> None:
        raise InstallationError(f"{url} would have to be cloned and built, which a check does not do")

    def fetch_wheel(link: Any, *arguments: Any, **options: Any) -> Any:
        if not link.is_wheel and not link.is_vcs:
            raise InstallationError(f"{link} would have to be built from source, which a check does not do")
        return unpack_url(link, *arguments, **options)

    prepare.unpack_url = fetch_wheel
    SourceDistribution.prepare_distribution_metadata = refuse_source  # type: ignore[method-assign]
    InstallRequirement.prepare_metadata = refuse  # type: ignore[assignment, method-assign]
    VersionControl.unpack = refuse_repository  # type: ignore[assignment, method-assign]
    with tempfile.TemporaryDirectory(prefix="dgx-spark-") as folder:
        tempfile.tempdir = folder
        Fence([folder, *_places(arguments)]).put_up()
        return int(run(arguments[1:]))


def _places(arguments: list[str]) -> list[str]:
    """Where pip is told to write: its cache, and beside its report unless that goes to standard output."""
    given = dict(itertools.pairwise(arguments))
    places = [given.get("--cache-dir", ""), os.path.dirname(given.get("--report", "-"))]
    return [place for place in places if place]
