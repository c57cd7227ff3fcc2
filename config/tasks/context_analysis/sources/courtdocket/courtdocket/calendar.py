import datetime as dt

HOLIDAYS = {(1, 1), (5, 1), (10, 3), (12, 25), (12, 26)}


def easter(year):
    a, b, c = year % 19, year // 100, year % 100
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    m = (a + 11 * h) // 319
    r = (2 * e + 2 * i - k - h + m + 32) % 7
    month = (h - m + r + 90) // 25
    day = (h - m + r + month + 19) % 32
    return dt.date(year, month, day)


def is_open(day):
    if day.weekday() > 4 or (day.month, day.day) in HOLIDAYS:
        return False
    return day not in (easter(day.year) - dt.timedelta(days=2), easter(day.year) + dt.timedelta(days=1))


def add_open_days(day, count):
    while count:
        day += dt.timedelta(days=1)
        count -= is_open(day)
    return day
