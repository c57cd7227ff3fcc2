import logging
import sched

from dripline.planner import make_plan
from dripline.valves import Valves
from dripline.weather import forecast

log = logging.getLogger("dripline")


def run_once(config, beds, pins):
    valves = Valves(pins)
    try:
        hours = forecast(config["lat"], config["lon"])
    except OSError as problem:
        log.warning("no forecast: %s", problem)
        hours = []
    plan = make_plan(beds, hours, config["tank"])
    queue = sched.scheduler()
    start = 0.0
    for bed in beds:
        minutes = plan.minutes.get(bed.name)
        if minutes:
            queue.enter(start, 1, valves.open, (bed.valve,))
            queue.enter(start + minutes * 60, 1, valves.close, (bed.valve,))
            start += minutes * 60
    queue.run()
