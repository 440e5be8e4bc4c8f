"""Runs a command for which the permissions of files hold, also where tests run as root.

python plain.py UMASK COMMAND...
"""

from __future__ import annotations

import ctypes
import os
import sys

DROP_BOUND = 24  # PR_CAPBSET_DROP of prctl(2)
OVERRIDES = (1, 2)  # CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH, see capabilities(7)

if os.geteuid() == 0:
    for capability in OVERRIDES:
        ctypes.CDLL(None).prctl(DROP_BOUND, capability, 0, 0, 0)
os.umask(int(sys.argv[1], 8))
os.execv(sys.argv[2], sys.argv[2:])
