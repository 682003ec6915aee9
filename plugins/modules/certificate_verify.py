#!/usr/bin/python
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: certificate_verify
short_description: Check whether a stack's certificate is still what was issued
version_added: 1.0.0
description:
  - Checks the signature, the checksum of the page, the checksum of the report, and that the report supports every line of the certificate.
  - Fails when one of these checks fails.
options:
  path:
    description: The certificate (C(.json)); its page and signature are expected beside it.
    type: path
    default: ""
  report:
    description: The C(report.json) that it refers to; defaults to the one in the folder above it.
    type: path
  allowed_signers:
    description: A file of allowed signers as ssh-keygen(1) describes it; only keys in it count.
    type: path
  fingerprint:
    description: The C(SHA256:...) fingerprint of the one key that counts.
    type: str
  accept_unsigned:
    description: Accept a certificate without a signature; it then proves only that its files belong together.
    type: bool
    default: false
extends_documentation_fragment:
  - labops.dgx_spark.on_controller
author:
  - LabOps (@labops)
"""

EXAMPLES = r"""
- name: Is this certificate ours
  labops.dgx_spark.certificate_verify:
    path: reports/20261123T101500Z-3f2a/certificates/pair_a.json
    allowed_signers: lab_signers
"""

RETURN = r"""
stack:
  description: The stack that it certifies.
  returned: always
  type: str
verdict:
  description: Its verdict.
  returned: always
  type: str
issued:
  description: When it was issued.
  returned: always
  type: str
signer:
  description: Fingerprint of the key and, with a list of allowed signers, its principal; null without a signature.
  returned: always
  type: dict
problems:
  description: The problems that were found.
  returned: always
  type: list
  elements: str
"""
