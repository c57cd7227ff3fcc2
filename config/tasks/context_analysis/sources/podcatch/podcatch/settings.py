import json
import os
from pathlib import Path

DEFAULTS = {"folder": "~/Podcasts", "keep": 5, "parallel": 2}


def load(path=None):
    path = Path(path or os.environ.get("PODCATCH", "~/.podcatch.json")).expanduser()
    values = dict(DEFAULTS)
    if path.exists():
        values.update(json.loads(path.read_text()))
    return values
