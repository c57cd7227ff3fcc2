from .registry import STEPS


class CycleError(Exception):
    pass


def order(wanted):
    done, path, result = set(), [], []

    def visit(name):
        if name in done:
            return
        if name in path:
            raise CycleError(" -> ".join([*path, name]))
        if name not in STEPS:
            raise KeyError(name)
        path.append(name)
        for before in STEPS[name][1]:
            visit(before)
        path.pop()
        done.add(name)
        result.append(name)

    for name in wanted:
        visit(name)
    return result
