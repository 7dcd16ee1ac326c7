"""Which run of the machine this is: monotonic clocks compare only within one."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from tally.errors import ConfigurationError

LINUX_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


@cache
def boot_id() -> str:
    """Return an id that is the same for all processes until the machine starts again.

    Raises:
        ConfigurationError: this operating system does not tell.
    """
    try:
        if sys.platform == "darwin":
            command = ["/usr/sbin/sysctl", "-n", "kern.bootsessionuuid"]
            told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=5)  # noqa: S603  # constant
            return told.stdout.strip()
        return LINUX_BOOT_ID.read_text().strip()
    except (OSError, subprocess.SubprocessError) as error:
        message = f"the embedded coordinator needs the machine's boot id: {error}"
        raise ConfigurationError(message) from error
