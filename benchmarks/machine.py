"""The machine that numbers come from, in a line."""

import os
import platform

from mlc.host import allowed_cpus


def describe() -> str:
    """Processor, processors that may be used, system and the load that others put on it."""
    model = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            model = next(line.partition(":")[2].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    load = os.getloadavg()[0]
    return f"{model}, {allowed_cpus()} processors, {platform.system()} {platform.release()}, load {load:.1f}"
