import json
import os
import tempfile

from . import runner


class State:
    def __init__(self, path):
        self.path = path
        self.values = {}
        if os.path.exists(path):
            with open(path) as handle:
                self.values = json.load(handle)

    def save(self):
        handle, name = tempfile.mkstemp(dir=os.path.dirname(self.path) or ".")
        with os.fdopen(handle, "w") as out:
            json.dump(self.values, out)
        os.replace(name, self.path)

    def resume(self, wanted):
        return runner.run([n for n in wanted if n not in self.values], self)
