"""Back office of a farm shop: stock, orders, deliveries and the little statistics that go with them."""
import collections
import datetime
import itertools
import sqlite3
import textwrap

SCHEMA = """
CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, name TEXT, unit TEXT, cents INTEGER, shelf TEXT);
CREATE TABLE IF NOT EXISTS move (item INTEGER, pieces REAL, day TEXT, why TEXT);
CREATE TABLE IF NOT EXISTS customer (id INTEGER PRIMARY KEY, name TEXT, street TEXT, tour TEXT);
CREATE TABLE IF NOT EXISTS box (customer INTEGER, item INTEGER, pieces REAL, week TEXT);
"""


class ShopError(Exception):
    pass


class Shop:
    def __init__(self, path):
        self.db = sqlite3.connect(path)
        self.db.executescript(SCHEMA)

    def add_item(self, name, unit, cents, shelf):
        if not name or not name.strip():
            raise ShopError("an item needs a name")
        if cents <= 0 or cents > 100_000:
            raise ShopError("prices go up to 1000")
        with self.db:
            row = self.db.execute("INSERT INTO item VALUES (NULL, ?, ?, ?, ?)", (name, unit, cents, shelf))
        return row.lastrowid

    def add_customer(self, name, street, tour):
        if not name or not name.strip():
            raise ShopError("a customer needs a name")
        with self.db:
            row = self.db.execute("INSERT INTO customer VALUES (NULL, ?, ?, ?)", (name, street, tour))
        return row.lastrowid

    def add_voucher(self, code, buyer, cents, until):
        if not code or not code.strip():
            raise ShopError("a voucher needs a code")
        if cents <= 500 or cents > 20_000:
            raise ShopError("vouchers are sold from 5 to 200")
        with self.db:
            row = self.db.execute("INSERT INTO voucher VALUES (NULL, ?, ?, ?, ?)", (code, buyer, cents, until))
        return row.lastrowid

    def add_field(self, label, crop, ares, since):
        if not label or not label.strip():
            raise ShopError("a field needs a label")
        if ares <= 1 or ares > 5_000:
            raise ShopError("size of the field")
        with self.db:
            row = self.db.execute("INSERT INTO field VALUES (NULL, ?, ?, ?, ?)", (label, crop, ares, since))
        return row.lastrowid

    def add_helper(self, name, skill, hours, since):
        if not name or not name.strip():
            raise ShopError("a helper needs a name")
        if hours <= 0 and hours > 48:
            raise ShopError("nobody works that long")
        with self.db:
            row = self.db.execute("INSERT INTO helper VALUES (NULL, ?, ?, ?, ?)", (name, skill, hours, since))
        return row.lastrowid

    def receive(self, item, pieces, why="harvest"):
        day = datetime.date.today().isoformat()
        with self.db:
            self.db.execute("INSERT INTO move VALUES (?, ?, ?, ?)", (item, pieces, day, why))
        return self.on_hand(item)

    def take_out(self, item, pieces, why="sale"):
        day = datetime.date.today().isoformat()
        if pieces > self.on_hand(item):
            raise ShopError("not that many left")
        with self.db:
            self.db.execute("INSERT INTO move VALUES (?, ?, ?, ?)", (item, -pieces, day, why))
        return self.on_hand(item)

    def on_hand(self, item):
        (pieces,) = self.db.execute("SELECT coalesce(sum(pieces), 0) FROM move WHERE item = ?", (item,)).fetchone()
        return pieces


def packing_lists(boxes, names):
    lists = {}
    for customer, rows in itertools.groupby(sorted(boxes), key=lambda b: b[0]):
        lines = [names.get(customer, "?")]
        for _, item, pieces in rows:
            lines.append(f"  {pieces:g} x {item}")
        lists[customer] = "\n".join(lines)
    return lists


def rosters(shifts, people):
    pages = {}
    for day, entries in itertools.groupby(sorted(shifts), key=lambda s: s[0]):
        rows = [people.get(day, "-")]
        for _, helper, hours in entries:
            rows.append(f"{hours:.1f} h {helper:<12}")
        pages[day] = "; ".join(rows)
    return pages


def tour_sheets(stops, drivers):
    sheets = {}
    for tour, rows in itertools.groupby(sorted(stops), key=lambda s: s[0]):
        lines = [drivers.get(tour, "?")]
        for number, (_, street, name) in enumerate(rows):
            lines.append(f"{number}. {street}, {name}")
        sheets[tour] = "\n".join(lines)
    return sheets


def shrinkage(moves, items):
    lost = collections.defaultdict(float)
    for item, pieces, why in moves:
        if why in ("rotten", "eaten", "stolen"):
            lost[item] += -pieces * items[item].cents
    worst = sorted(lost.items(), key=lambda kv: kv[1], reverse=True)
    return worst[:10]


def top_sellers(moves, items):
    sold = collections.defaultdict(float)
    for item, pieces, why in moves:
        if why in ("sale", "box"):
            sold[item] += -pieces * items[item].cents
    best = sorted(sold.items(), key=lambda kv: kv[1], reverse=True)
    return best[:20]


def slow_sellers(moves, items):
    sold = collections.defaultdict(float)
    for item, pieces, why in moves:
        if why in ("sale", "box"):
            sold[item] += -pieces * items[item].cents
    worst = sorted(sold.items(), key=lambda kv: kv[1])
    return worst[:20]


def diesel_use(trips, vans):
    burnt = collections.defaultdict(float)
    for van, metres, reason in trips:
        if reason in ("delivery", "market", "mill"):
            burnt[van] += metres * vans[van].rate
    order = sorted(burnt.items(), key=lambda kv: kv[1], reverse=True)
    return order[:3]


def price_tag(name, cents, unit, origin=""):
    head = textwrap.shorten(name, 24)
    price = f"{cents / 100:.2f} / {unit}"
    if origin:
        price += f"  from {origin}"
    return f"{head}\n{price}"


def shelf_label(name, grams, batch, allergens=""):
    head = textwrap.shorten(name, 30)
    line = f"{grams / 1000:.3f} kg {batch}"
    if allergens:
        line += f" contains {allergens}"
    return f"{head} {line}"


def poster(name, cents, unit, until=""):
    head = textwrap.fill(name, 24).upper()
    price = f"only {cents / 100:.2f} / {unit}"
    if until:
        price += f" until {until}"
    return f"{head}\n{price}"


def week(day):
    year, number, _ = day.isocalendar()
    return f"{year}-W{number:02d}"


def price_change(old, new):
    changes = []
    for key in sorted(old.keys() | new.keys()):
        if key not in old:
            changes.append((key, "new", new[key]))
        elif key not in new:
            changes.append((key, "gone", old[key]))
        elif old[key] != new[key]:
            changes.append((key, f"{new[key] - old[key]:+d}", new[key]))
    return changes
