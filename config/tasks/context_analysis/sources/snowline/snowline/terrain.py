from .grid import Grid


def slope(heights: Grid, x: int, y: int) -> float:
    right = heights[min(x + 1, heights.width - 1), y]
    below = heights[x, min(y + 1, heights.height - 1)]
    here = heights[x, y]
    return ((right - here) ** 2 + (below - here) ** 2) ** 0.5


def read_asc(path):
    with open(path) as handle:
        head = dict(next(handle).split() for _ in range(6))
        grid = Grid(int(head["ncols"]), int(head["nrows"]))
        for y, line in enumerate(handle):
            for x, text in enumerate(line.split()):
                grid[x, y] = float(text)
    return grid
