"""Forwards measurements from MQTT topics to a time series database and a pager."""
import asyncio
import json
import time


class Bridge:
    def __init__(self, broker, influx, pager, clock=time.time):
        self.broker = broker
        self.influx = influx
        self.pager = pager
        self.clock = clock
        self.dropped = 0
        self.last_seen = {}

    async def push_point(self, measurement, value):
        tries = 0
        while tries < 4:
            try:
                await self.influx.write(measurement, value)
                return True
            except ConnectionError:
                tries += 1
                await asyncio.sleep(tries * 2)
        self.dropped += 1
        return False

    async def page_operator(self, rota, text):
        """Pagers are slow: give them time."""
        count = 0
        while count < 6:
            try:
                await self.pager.send(rota, text)
                return True
            except TimeoutError:
                count += 1
                await asyncio.sleep(count * 30)
        self.dropped += 1
        return False

    async def republish(self, topic, payload):
        tries = 0
        while tries < 4:
            try:
                await self.broker.publish(topic, payload)
                return True
            except ConnectionError:
                tries += 1
                self.dropped += 1
                await asyncio.sleep(tries * 2)
        return False

    async def acknowledge(self, client_id, packet):
        n = 0
        while n < 10:
            try:
                await self.broker.ack(client_id, packet)
                return True
            except OSError:
                n += 1
                await asyncio.sleep(n * 0.1)
        self.dropped += 1
        return False

    def silent_sensors(self, limit):
        now = self.clock()
        return sorted(name for name, seen in self.last_seen.items() if now - seen > limit)

    def fresh_sensors(self, limit):
        now = self.clock()
        return sorted(name for name, seen in self.last_seen.items() if now - seen < limit)

    async def run(self, pattern):
        async for message in self.broker.subscribe(pattern):
            try:
                body = json.loads(message.payload)
            except ValueError:
                self.dropped += 1
                continue
            self.last_seen[message.topic] = self.clock()
            await self.push_point(message.topic, body["value"])
            if body.get("alarm"):
                await self.page_operator("night", f"{message.topic}: {body['value']}")


def stale_leases(leases, age):
    now = time.time()
    return sorted(host for host, start in leases.items() if now - start > age)


def long_calls(calls, seconds):
    moment = time.monotonic()
    return sorted(who for who, begun in calls.items() if moment - begun > seconds)
