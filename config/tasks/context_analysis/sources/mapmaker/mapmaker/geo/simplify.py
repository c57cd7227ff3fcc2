from .point import Point


def offset(p: Point, a: Point, b: Point) -> float:
    (x, y), (x1, y1), (x2, y2) = p.mercator(), a.mercator(), b.mercator()
    length = ((x2 - x1) ** 2 + (y2 - y1) ** 2) ** 0.5
    if length == 0:
        return ((x - x1) ** 2 + (y - y1) ** 2) ** 0.5
    return abs((x2 - x1) * (y1 - y) - (x1 - x) * (y2 - y1)) / length


def simplify(line: list[Point], metres: float) -> list[Point]:
    """Douglas and Peucker, without recursion."""
    if len(line) < 3:
        return list(line)
    keep = {0, len(line) - 1}
    stack = [(0, len(line) - 1)]
    while stack:
        first, last = stack.pop()
        worst, where = 0.0, -1
        for i in range(first + 1, last):
            gap = offset(line[i], line[first], line[last])
            if gap > worst:
                worst, where = gap, i
        if worst > metres:
            keep.add(where)
            stack += [(first, where), (where, last)]
    return [line[i] for i in sorted(keep)]
