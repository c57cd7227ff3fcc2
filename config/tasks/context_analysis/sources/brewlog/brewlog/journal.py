import json

from .batch import Batch
from .gravity import alcohol
from .recipe import Hop, Recipe


def load(path):
    with open(path) as handle:
        raw = json.load(handle)
    hops = [Hop(**h) for h in raw.pop("hops", [])]
    return Recipe(hops=hops, **raw)


def summary(batch: Batch) -> dict:
    values = [sg for _, sg in batch.readings]
    row = {
        "name": batch.recipe.name,
        "started": batch.started.isoformat(),
        "litres": batch.recipe.litres,
        "planned": batch.recipe.original,
        "first": values[0] if values else None,
        "last": values[-1] if values else None,
        "readings": len(values),
        "ibu": round(batch.recipe.bitterness()),
        "hops": ", ".join(h.name for h in batch.recipe.hops),
        "grams": sum(h.grams for h in batch.recipe.hops),
    }
    row["alcohol"] = round(alcohol(max(values), min(values)), 1) if values else 0.0
    return row
