"""Limits of whole exchanges: one thread watches them all."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading

from ai_dev_tools.benchmark._util.deadline import Deadline

LONG_S = 3600.0
PATIENCE_S = 30.0


def test_a_limit_that_is_given_later_and_passes_earlier_ends_its_exchange() -> None:
    here, there = socket.socketpair()
    with here, there, Deadline(LONG_S) as long:
        with Deadline(0.0) as short:
            short.watch(here)
            here.settimeout(PATIENCE_S)
            assert here.recv(1) == b"", "what waits for the other side is ended"
        assert (short.passed, long.passed) == (True, False)


def test_exchanges_do_not_start_a_thread_each() -> None:
    with Deadline(LONG_S):
        before = threading.active_count()
        open_ones = [Deadline(LONG_S).__enter__() for _ in range(10)]
        assert threading.active_count() == before
        for one in open_ones:
            one.__exit__()


def test_a_forked_process_has_limits_too() -> None:
    program = f"""
import os, socket
from ai_dev_tools.benchmark._util.deadline import Deadline
with Deadline({LONG_S}):
    child = os.fork()
if child:
    raise SystemExit(os.waitpid(child, 0)[1])
here, there = socket.socketpair()
here.settimeout({PATIENCE_S})
with Deadline(0.0) as short:
    short.watch(here)
    here.recv(1)
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=PATIENCE_S).returncode == 0
