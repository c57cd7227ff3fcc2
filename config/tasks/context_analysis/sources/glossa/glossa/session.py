import random
from datetime import date

from glossa import progress
from glossa.cards import Card
from glossa.compare import verdict


class Session:
    def __init__(self, deck: list[Card], limit=20):
        today = date.today()
        self.today = today
        self.queue = [c for c in deck if c.due <= today][:limit]
        random.shuffle(self.queue)
        self.score = {"right": 0, "wrong": 0}

    def answer(self, text):
        card = self.queue.pop()
        result = verdict(text, card.back)
        if result in ("right", "typo"):
            card.promote(self.today)
            self.score["right"] += 1
        else:
            card.demote(self.today)
            self.queue.insert(0, card)
            self.score["wrong"] += 1
        return result, card.back

    def share_known(self, deck):
        counts = progress.boxes(deck)
        return 1 - counts[0] / max(len(deck), 1)
