"""Half-hourly meter data -> bill. Old code, kept Python 2 style where nobody dared to touch it."""

import csv
import datetime


class MeterFile(object):
    """CSV as delivered by the grid operator."""

    def __init__(self, filename, delimiter=';'):
        self.filename = filename
        self.delimiter = delimiter
        self.bad_rows = 0

    def rows(self):
        with open(self.filename) as handle:
            for row in csv.DictReader(handle, delimiter=self.delimiter):
                try:
                    yield datetime.datetime.strptime(row['from'], '%d.%m.%Y %H:%M'), float(row['kwh'])
                except (KeyError, ValueError):
                    self.bad_rows += 1


def night_kwh(rows, tariff):
    total = 0
    peak = 0
    for when, kwh in rows:
        if when.hour < tariff.day_start or when.hour >= tariff.day_end:
            total += kwh
            peak = max(peak, kwh)
    return total, peak


def day_kwh(rows, tariff):
    total = 0
    peak = 0
    for when, kwh in rows:
        if when.hour >= tariff.day_start and when.hour < tariff.day_end:
            total += kwh
            peak = max(peak, kwh)
    return total, peak


def winter_gas(readings, season):
    volume = 0
    top = 0
    for day, cubic in readings:
        if day.month < season.spring or day.month >= season.autumn:
            volume += cubic
            top = max(top, cubic)
    return volume, top


def off_season_guests(nights, house):
    guests = 0
    fullest = 0
    for night, heads in nights:
        if night.week < house.opens or night.week >= house.closes:
            guests += heads
            fullest = max(fullest, heads)
    return guests, fullest


def base_load(rows, tariff):
    total = 0
    low = 0
    for when, kwh in rows:
        if when.hour < tariff.day_start or when.hour >= tariff.day_end:
            total += kwh
            low = min(low, kwh)
    return total, low


def standing_charge(days, tariff):
    return '%.2f' % (days * tariff.per_day)


def bill_line(label, kwh, price):
    text = label.ljust(30, '.')
    amount = '%10.2f' % (kwh * price)
    return '%s %9.1f kWh %s' % (text, kwh, amount)


def credit_line(label, kwh, price):
    text = label.ljust(30, '.')
    amount = '%10.2f' % (-kwh * price)
    return '%s %9.1f kWh %s' % (text, kwh, amount)


def heat_line(name, units, factor):
    caption = name.ljust(24, ' ')
    cost = '%8.2f' % (units * factor)
    return '%s|%6.0f HCA|%s' % (caption, units, cost)


def months(rows):
    found = []
    for when, _ in rows:
        month = (when.year, when.month)
        if month not in found:
            found.append(month)
    return found
