"""Consumer of order events: parse, de-duplicate, apply, acknowledge."""

from __future__ import annotations

import json
import logging
import time
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

logger = logging.getLogger("orders.consumer")


@dataclass(frozen=True)
class Event:
    id: str
    kind: str
    order: int
    body: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.kind}#{self.id} (order {self.order})"


class Duplicate(Exception):
    pass


class Recent:
    def __init__(self, size: int = 1000) -> None:
        self.size = size
        self._ids: OrderedDict[str, float] = OrderedDict()

    def add(self, event: Event) -> None:
        if event.id in self._ids:
            raise Duplicate(f"{event} came before")
        self._ids[event.id] = time.time()
        while len(self._ids) > self.size:
            oldest, _ = self._ids.popitem(last=False)
            logger.debug("forgot %s", oldest)


class Consumer:
    def __init__(self, channel, apply, recent: Recent | None = None) -> None:
        self.channel = channel
        self.apply = apply
        self.recent = recent or Recent()
        self.counts = {"applied": 0, "duplicate": 0, "bad": 0}

    def parse(self, raw: bytes) -> Event | None:
        try:
            data = json.loads(raw)
            return Event(data["id"], data["kind"], int(data["order"]), data.get("body", {}))
        except (ValueError, KeyError) as error:
            self.counts["bad"] += 1
            logger.warning(f"unreadable message of {len(raw)} bytes: {error}")
            return None

    def handle(self, delivery) -> None:
        event = self.parse(delivery.body)
        if event is None:
            self.channel.reject(delivery.tag)
            return
        try:
            self.recent.add(event)
            self.apply(event)
        except Duplicate as error:
            self.counts["duplicate"] += 1
            logger.info("%s", error)
        except Exception:
            logger.exception(f"{event} could not be applied")
            self.channel.reject(delivery.tag)
            return
        self.counts["applied"] += 1
        self.channel.acknowledge(delivery.tag)

    def run(self, limit: int | None = None) -> None:
        done = 0
        for delivery in self.channel:
            self.handle(delivery)
            done += 1
            if limit is not None and done >= limit:
                message = f"stopped after {done} messages"
                print(message)
                return

    def summary(self, level: int = logging.INFO) -> str:
        text = ", ".join(f"{count} {name}" for name, count in self.counts.items())
        logger.log(level, f"so far: {text}")
        return text


def legacy_kind(kind: str) -> str:
    if "." not in kind:
        warnings.warn(f"kind {kind!r} has no area", DeprecationWarning, stacklevel=2)
        kind = f"order.{kind}"
    return kind


def watch(consumer: Consumer, every: float, log=logger) -> None:
    while True:
        time.sleep(every)
        log.info("applied=%d bad=%d", consumer.counts["applied"], consumer.counts["bad"])
        if consumer.counts["bad"] > 100:
            log.error(f"{consumer.counts['bad']} bad messages in {consumer.channel!r}")
