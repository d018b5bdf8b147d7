# SPDX-License-Identifier: MIT
"""Jobs for workers of a cluster, which import this module and nothing slow with it."""

import os
import signal
import time

from vgic_lib.errors import ParameterError
from vgic_lib.files import write_text


def write_slowly(path):
    """Write the name of a file into it; returns the process that did."""
    time.sleep(0.05)
    write_text(path, path.name)
    return os.getpid()


def kill_at_three(number):
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def fail(number):
    raise [ParameterError("refused"), ZeroDivisionError("a fault of ours")][number]


def faults_of_reuse(count):
    """Page faults of this process while it fills 8 MiB time after time."""
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        b"1" * (8 << 20)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
