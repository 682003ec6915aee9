"""What an admin can set, and the other names that a text may use: variables, groups, facts."""

from __future__ import annotations

import ast
import re

from ansible_collections.labops.dgx_spark.plugins.plugin_utils.run.wants import WANTS
from house import MODULES, PLAYBOOK_NAMES, PLAYBOOKS, ROLE_NAMES, role_variables, sources, syntax


def names_in_playbooks() -> set[str]:
    """Variables that the playbooks themselves read (``-e NAME=``)."""
    found: set[str] = set()
    for path in [*PLAYBOOKS.glob("*.yml"), *PLAYBOOKS.glob("tasks/*.yml")]:
        for line in path.read_text(encoding="utf-8").splitlines():
            if "{{" in line or "when" in line or "is defined" in line:
                found |= set(re.findall(r"[a-z][a-z0-9_]*", line))
    return found


OF_PLAYBOOKS = names_in_playbooks()
SETTABLE = set(role_variables()) | {want.variable for want in WANTS} | OF_PLAYBOOKS
OF_THE_SHEET = {"spark_expected_serial", "spark_expected_host_key"}
OF_ANSIBLE = {"ansible_user", "ansible_host", "ansible_port", "ansible_become_password", "ansible_password", "ansible_python_interpreter"}
OF_ANSIBLE |= {"ansible_ssh_private_key_file", "become_ask_pass", "enable_plugins", "host_key_checking"}
GROUPS = {"spark_desks", "spark_pairs", "spark_stacks", "spark_slice_1", "spark_slice_2"}
OF_A_RUN = {"spark_plan", "spark_stage", "spark_wave", "spark_repetition"}
"""Variables with which playbooks compose roles into a run, see docs/architecture.md."""
NAMES = SETTABLE | OF_THE_SHEET | OF_ANSIBLE | GROUPS | OF_A_RUN | set(MODULES) | set(ROLE_NAMES) | set(PLAYBOOK_NAMES)
OF_THE_MACHINE = re.compile(
    r"^(nvidia|mlx5|ibv?|sm|arp|rdma|cma|kho|dpkg|apt|dgx|id|authorized|known|sshd?|sudo|memlock|carrier|perf|all_gather|all_reduce|port|rx|tx|phy)_"
)
"""Words of Linux, NVIDIA and ssh, which are no variables."""

FACTS = {
    node.target.id
    for path in sources("module_utils/model")
    for node in ast.walk(syntax(path))
    if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name)
}
PREFIXES = (*(f"{role}_" for role in ROLE_NAMES), "spark_", "audit_", "isolate_", "calibrate_", "record_")
