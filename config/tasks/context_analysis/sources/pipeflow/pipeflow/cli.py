import argparse
import importlib
import sys

from pipeflow import graph, report
from pipeflow.registry import names
from pipeflow.state import State


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("module")
    parser.add_argument("steps", nargs="*")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args(argv)
    importlib.import_module(options.module)
    if options.list:
        print("\n".join(graph.order(names())))
        return 0
    state = State("state.json")
    failed = state.resume(options.steps or names())
    print(report.table(state))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
