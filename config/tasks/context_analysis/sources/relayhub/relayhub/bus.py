import asyncio
import fnmatch
import logging
from collections import defaultdict

log = logging.getLogger(__name__)


class Bus:
    def __init__(self):
        self.listeners = defaultdict(list)
        self.last = {}

    def listen(self, pattern, function):
        self.listeners[pattern].append(function)

    async def publish(self, topic, value):
        self.last[topic] = value
        calls = []
        for pattern, functions in self.listeners.items():
            if fnmatch.fnmatchcase(topic, pattern):
                calls += [f(topic, value) for f in functions]
        for result in await asyncio.gather(*calls, return_exceptions=True):
            if isinstance(result, Exception):
                log.error("listener failed", exc_info=result)
