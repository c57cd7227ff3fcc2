import math
import operator

from . import simplify
from .nodes import Binary, Call, Name, Number

OPS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv, "^": operator.pow}


def value(node, names):
    match node:
        case Number(number):
            return number
        case Name(text):
            return names[text]
        case Binary(op, left, right):
            return OPS[op](value(left, names), value(right, names))
        case Call(function, arguments):
            return getattr(math, function)(*(value(a, names) for a in arguments))
    raise TypeError(node)


def table(node, name, numbers):
    short = simplify.simplify(node)
    return [(n, value(short, {name: n})) for n in numbers]
