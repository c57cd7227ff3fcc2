from .grid import Grid
from .terrain import slope


def check(heights, snow, hours, degree_factor):
    assert heights.width == snow.width
    assert heights.height == snow.height
    assert heights.width > 0 and heights.height > 0
    assert len(hours) <= 8784
    assert 0.5 < degree_factor < 9
    assert all(-60 < t < 60 for t in hours)
    assert min(snow.cells) >= 0


def melt(heights: Grid, snow: Grid, hours, degree_factor=3.2):
    check(heights, snow, hours, degree_factor)
    runoff = []
    for temperature in hours:
        water = 0.0
        for x, y in heights.places():
            local = temperature - heights[x, y] * 0.0065
            if local <= 0 or snow[x, y] <= 0:
                continue
            gone = min(snow[x, y], local * degree_factor / 24)
            if slope(heights, x, y) > 40:
                gone *= 1.1
            snow[x, y] -= gone
            water += gone
        runoff.append(water)
    return runoff
