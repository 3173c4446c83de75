"""Threads that compute give way to the one that answers.

A model takes every core for as long as there are photos. The event loop, with as much right to a core as each
of its threads, would answer a refused photo, a health check or a page only after them.
"""

import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")

# What the threads that load bundles are called, at the start of their names.
LOADER = "glint-loader"

# How much nicer than the process's main thread, which runs the event loop: a third of its weight.
_STEP = 5
_NICEST = 19


def give_way() -> None:
    """Let this thread, and those that it starts from now on, give way to the main thread.

    Only Linux knows priorities of single threads; elsewhere, and where it is forbidden, nothing changes.
    """
    if sys.platform != "linux":
        return
    with suppress(OSError):
        main = os.getpriority(os.PRIO_PROCESS, os.getpid())
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(_NICEST, main + _STEP))


def giving_way(function: Callable[[], T]) -> T:
    """Call a function whose threads are to give way, and not the caller with them, who could not undo it."""
    with ThreadPoolExecutor(1, thread_name_prefix=LOADER, initializer=give_way) as pool:
        return pool.submit(function).result()
