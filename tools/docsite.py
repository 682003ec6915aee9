# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the docsite into a folder: the guides in docs/ and the generated documentation of modules, plugins and roles.

python3 tools/docsite.py build/docsite

antsibull-docs makes the site and its pages, Sphinx the HTML. Warnings are errors. Needs no network: links to other sites are not looked up.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tools import check_links, generated  # noqa: E402
from tools.check_links import LINK, in_repository  # noqa: E402

COLLECTION = "labops.dgx_spark"
CONF = """
extensions.append("myst_parser")
myst_heading_anchors = 4
# No other site is asked, so these names of Ansible's own documentation lead nowhere.
intersphinx_mapping = {}
nitpick_ignore_regex = [
    ("std:ref", "action_plugins|ansible_configuration_settings|callback_plugins|common_return_values|inventory_plugins"),
    ("std:envvar", "ANSIBLE_.*"),
]
"""


def guide(text: str) -> str:
    """A guide of docs/ for guides/ of the site: links to other guides and pictures stay, those to any other file go to the repository."""

    def moved(found: re.Match[str]) -> str:
        link = found[1]
        if re.match(r"[a-z]+:|#", link) or ("/" not in link and link.partition("#")[0].endswith(".md")) or link.startswith("images/"):
            return found[0]
        place = link.removeprefix("../") if link.startswith("../") else f"docs/{link}"
        return found[0].replace(link, f"{generated.repository()}/{place}")

    return LINK.sub(moved, text)


def front(text: str) -> str:
    """The README for the first page: links to guides and pictures stay on the site."""

    def moved(found: re.Match[str]) -> str:
        told = in_repository(found[1]) or ""
        here = told.startswith("docs/") and told.partition("#")[0].endswith((".md", ".png"))
        return found[0].replace(found[1], f"guides/{told.removeprefix('docs/')}") if here else found[0]

    return LINK.sub(moved, text)


def index(guides: list[str]) -> str:
    """The first page: the README, then the menu."""
    lines = ["```{toctree}", ":maxdepth: 1", ":caption: Guides", ":hidden:", "", *(f"guides/{name}" for name in guides), "```", ""]
    lines += ["```{toctree}", ":maxdepth: 1", ":caption: Modules, plugins, roles", ":hidden:", "", "collections/index", "```", ""]
    return "\n".join(lines)


def run(*command: str, folder: Path) -> None:
    """A program in the folder of the site. Raises SystemExit when it fails."""
    environment = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(ROOT / ".collections"), "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=folder, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command[:2])} failed with code {done.returncode}")


def build(site: Path) -> None:
    """Everything, from an empty folder."""
    shutil.rmtree(site, ignore_errors=True)
    site.mkdir(mode=0o700, parents=True)
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    names = ("--project", COLLECTION, "--copyright", "LabOps", "--title", f"{COLLECTION} {version}")
    run("antsibull-docs", "sphinx-init", "--use-current", "--fail-on-error", *names, "--dest-dir", ".", COLLECTION, folder=site)
    with (site / "conf.py").open("a", encoding="utf-8") as conf:
        conf.write(CONF)
    rst = site / "rst"
    pages = ("collection", "--use-current", "--fail-on-error", "--dest-dir", "rst", COLLECTION)
    run("antsibull-docs", "--config-file", "antsibull-docs.cfg", *pages, folder=site)
    guides = [Path(path).stem for path in check_links.guides((ROOT / check_links.GUIDES).read_text(encoding="utf-8"))]
    (rst / "guides").mkdir()
    shutil.copytree(ROOT / "docs/images", rst / "guides/images")
    for name in guides:
        text = guide((ROOT / f"docs/{name}.md").read_text(encoding="utf-8"))
        (rst / f"guides/{name}.md").write_text(text, encoding="utf-8")
    (rst / "index.rst").unlink()
    (rst / "index.md").write_text(f"{front((ROOT / 'README.md').read_text(encoding='utf-8'))}\n{index(guides)}", encoding="utf-8")
    run("sphinx-build", "-M", "html", "rst", "build", "-c", ".", "-W", "--keep-going", "--quiet", "--jobs", "auto", folder=site)
    print(f"docsite: {site / 'build/html/index.html'}")


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
