import datetime as dt
import operator

from .bus import Bus

TESTS = {"<": operator.lt, ">": operator.gt, "=": operator.eq}


class Scene:
    def __init__(self, bus: Bus, name, when, then, pause=60):
        self.bus, self.name, self.when, self.then = bus, name, when, then
        self.pause = dt.timedelta(seconds=pause)
        self.fired = None
        for topic, _, _ in when:
            bus.listen(topic, self.check)

    def holds(self):
        for topic, test, wanted in self.when:
            value = self.bus.last.get(topic)
            if value is None or not TESTS[test](value, wanted):
                return False
        return True

    async def check(self, topic, value, now=None):
        now = now or dt.datetime.now()
        if self.fired and now - self.fired < self.pause:
            return
        if self.holds():
            self.fired = now
            for target, setting in self.then:
                await self.bus.publish(target, setting)
