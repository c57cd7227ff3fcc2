"""What is left of a run when it ends."""

from __future__ import annotations

import threading

from ai_dev_tools.benchmark.workflow.endings import cancel_timers


def test_timers_that_the_scheduler_leaves_do_not_keep_the_process_alive() -> None:
    """Each would wait its second out after the last job."""
    left = threading.Timer(3600.0, lambda: None)
    left.start()
    cancel_timers()
    left.join(60.0)
    assert not left.is_alive()
