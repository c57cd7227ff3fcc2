def plato(sg):
    return -616.868 + 1111.14 * sg - 630.272 * sg ** 2 + 135.997 * sg ** 3


def alcohol(original, final):
    return (original - final) * 131.25


def correct(sg, celsius, calibrated=20.0):
    if abs(celsius - calibrated) < 0.5:
        return sg
    return sg * (1 + 0.00021 * (celsius - calibrated))
