from .registry import names
from .state import State


def table(state: State) -> str:
    rows = []
    for name in names():
        entry = state.values.get(name)
        mark = f"{entry['seconds']:8.2f} s" if entry else "   not run"
        rows.append(f"{name:<24}{mark}")
    return "\n".join(rows)
