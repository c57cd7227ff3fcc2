import itertools

from .feed import messages as raw


def messages():
    return [m for batch in itertools.batched(raw(), 10) for m in batch]
