"""Payments through two providers."""

from __future__ import annotations

import json
import logging
import sys
import time
from abc import ABC, abstractmethod
from decimal import Decimal
from typing import Any

logger = logging.getLogger("shop.payments")


class PaymentError(Exception):
    pass


class Provider(ABC):
    name = "?"

    def __init__(self, transport) -> None:
        self.transport = transport
        self.log = logging.getLogger(f"shop.payments.{self.name}")

    @abstractmethod
    def charge(self, order: str, amount: Decimal) -> str:
        """Reference of the payment."""

    def _call(self, path: str, document: dict[str, Any]) -> dict[str, Any]:
        begun = time.perf_counter()
        status, body = self.transport.post(path, json.dumps(document))
        self.log.debug("%s answered %d in %.0f ms", path, status, 1000 * (time.perf_counter() - begun))
        if status >= 400:
            raise PaymentError(f"{self.name}: status {status}")
        return json.loads(body)


class CardProvider(Provider):
    name = "card"

    def charge(self, order: str, amount: Decimal) -> str:
        answer = self._call("/charges", {"order": order, "cents": int(amount * 100)})
        if answer["state"] != "captured":
            self.log.error(f"order {order}: state {answer['state']}")
            raise PaymentError("the card was declined")
        return answer["reference"]

    def refund(self, reference: str, amount: Decimal) -> None:
        answer = self._call(f"/charges/{reference}/refunds", {"cents": int(amount * 100)})
        self.log.info("refund of %s: %s", reference, answer.get("state", "unknown"))


class TransferProvider(Provider):
    name = "transfer"

    def charge(self, order: str, amount: Decimal) -> str:
        reference = f"RF{abs(hash(order)) % 10**10:010d}"
        self._call("/expect", {"reference": reference, "amount": str(amount)})
        return reference

    def match(self, statement: list[dict[str, str]]) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for line in statement:
            reference = "".join(line["text"].split())[:12]
            if reference.startswith("RF"):
                found[reference] = found.get(reference, Decimal(0)) + Decimal(line["amount"])
            else:
                self.log.warning("no reference in " + repr(line["text"]))
        return found


def pay(providers: dict[str, Provider], kind: str, order: str, amount: Decimal, attempts: int = 3) -> str:
    provider = providers[kind]
    for attempt in range(1, attempts + 1):
        try:
            return provider.charge(order, amount)
        except ConnectionError as error:
            logger.warning("attempt %d of %d for %s: %s", attempt, attempts, order, error)
            time.sleep(attempt)
    message = f"order {order} could not be paid"
    logger.critical(message, extra={"order": order})
    raise PaymentError(message)


def report(paid: dict[str, Decimal], out=sys.stdout) -> None:
    for order, amount in sorted(paid.items()):
        out.write(f"{order}\t{amount:.2f}\n")
    print(f"{len(paid)} payments, {sum(paid.values(), Decimal(0)):.2f} in all", file=out)
