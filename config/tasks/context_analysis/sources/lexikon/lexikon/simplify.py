from . import evaluate
from .nodes import Binary, Number


def simplify(node):
    if not isinstance(node, Binary):
        return node
    left, right = simplify(node.left), simplify(node.right)
    if isinstance(left, Number) and isinstance(right, Number):
        return Number(evaluate.value(Binary(node.op, left, right), {}))
    if node.op == "*" and Number(0.0) in (left, right):
        return Number(0.0)
    return Binary(node.op, left, right)
