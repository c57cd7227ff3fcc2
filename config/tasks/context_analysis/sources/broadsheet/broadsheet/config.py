import os
import tomllib


def read(path="broadsheet.toml"):
    with open(path, "rb") as handle:
        values = tomllib.load(handle)
    values.setdefault("columns", 5)
    values.setdefault("gutter", 12)
    values["printer"] = os.environ.get("PRINTER", values.get("printer", "default"))
    return values
