import sys

from . import evaluate, simplify
from .parser import Parser


def main(stream=sys.stdin):
    names = {"tau": 6.283185307179586}
    for line in stream:
        target, _, source = line.rpartition("=")
        try:
            tree = simplify.simplify(Parser(source).expression())
            result = evaluate.value(tree, names)
        except (SyntaxError, KeyError, ArithmeticError) as problem:
            print("error:", problem)
            continue
        names[target.strip() or "_"] = result
        print(result)
