from .store import read_table

_rows = {}


def gauges():
    if not _rows:
        for row in read_table("gauges"):
            _rows[row["id"]] = row
    return _rows


def datum(gauge):
    return float(gauges()[gauge]["datum"])


def known(gauge):
    return gauge in gauges()
