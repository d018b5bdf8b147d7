# SPDX-License-Identifier: MIT
"""Peak memory of this process, for the benchmarks that print it."""

import re
import resource
import sys
from pathlib import Path

STATUS = Path("/proc/self/status")  # of Linux
MIB = 2**20


def peak_bytes():
    """Largest resident memory of this process so far, in bytes.

    Linux keeps it as VmHWM; its ru_maxrss of getrusage, which other systems are asked for, outlives exec: a
    new process would begin with the memory of the one that started it.
    """
    if STATUS.exists():
        return int(re.search(r"^VmHWM:\s*(\d+) kB", STATUS.read_text(encoding="utf-8"), re.M)[1]) * 2**10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 2**10
