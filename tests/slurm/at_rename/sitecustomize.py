"""With this folder on PYTHONPATH, the first process to rename something to STOP_AT stops there, once."""

import os
import signal


def stopping(work, path, rename=os.rename):
    wanted = str(path).endswith(os.environ["STOP_AT"])
    stops = wanted and not os.path.exists(os.environ["STOPPED"])
    if not stops or os.environ["STOP_WHEN"] == "after":
        rename(work, path)
    if stops:
        os.mkdir(os.environ["STOPPED"])
        os.kill(os.getpid(), signal.SIGSTOP)
        if os.environ["STOP_WHEN"] == "before":
            rename(work, path)


os.rename = stopping
