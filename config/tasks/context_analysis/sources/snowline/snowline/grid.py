import array


class Grid:
    def __init__(self, width, height, fill=0.0):
        self.width, self.height = width, height
        self.cells = array.array("d", [fill]) * (width * height)

    def __getitem__(self, place):
        x, y = place
        return self.cells[y * self.width + x]

    def __setitem__(self, place, value):
        x, y = place
        self.cells[y * self.width + x] = value

    def places(self):
        return ((x, y) for y in range(self.height) for x in range(self.width))
