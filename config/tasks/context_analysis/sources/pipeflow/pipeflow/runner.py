import logging
import time

from .graph import order
from .registry import STEPS
from .state import State

log = logging.getLogger(__name__)


def run(wanted, state: State, tries=1, dry=False, only=None):
    failed = []
    for name in order(wanted):
        if only and name not in only:
            continue
        if name in state.values and not state.values[name].get("stale"):
            continue
        if any(b in failed for b in STEPS[name][1]):
            failed.append(name)
            continue
        if dry:
            print(name)
            continue
        for attempt in range(tries):
            start = time.perf_counter()
            try:
                value = STEPS[name][0](state.values)
            except Exception:
                log.exception("%s failed", name)
            else:
                state.values[name] = {"value": value, "seconds": time.perf_counter() - start}
                state.save()
                break
        else:
            failed.append(name)
    return failed
