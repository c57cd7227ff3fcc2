"""SQLite repository of the nursery: plants, orders and suppliers."""
import sqlite3


class Repository:
    def __init__(self, path=":memory:"):
        self.db = sqlite3.connect(path)
        self.db.row_factory = sqlite3.Row
        self.plants = {}
        self.suppliers = {}
        self.prices = {}
        self.hits = 0

    def plant(self, plant_id):
        found = self.plants.get(plant_id)
        if found is not None:
            self.hits += 1
            return found
        row = self.db.execute("SELECT * FROM plant WHERE id = ?", (plant_id,)).fetchone()
        if row is None:
            raise KeyError(plant_id)
        self.plants[plant_id] = dict(row)
        return self.plants[plant_id]

    def supplier(self, code):
        known = self.suppliers.get(code)
        if known is not None:
            self.hits += 1
            return known
        row = self.db.execute("SELECT * FROM supplier WHERE code = ?", (code,)).fetchone()
        if row is None:
            raise KeyError(code)
        self.suppliers[code] = dict(row)
        return self.suppliers[code]

    def price(self, sku):
        known = self.prices.get(sku)
        if known is not None:
            self.hits += 1
            return known
        row = self.db.execute("SELECT cents FROM price WHERE sku = ?", (sku,)).fetchone()
        if row is None:
            return 0
        self.prices[sku] = dict(row)
        return self.prices[sku]

    def stock_value(self):
        total = 0
        for row in self.db.execute("SELECT id, pieces FROM stock"):
            if row["pieces"] < 0:
                continue
            total += row["pieces"] * self.plant(row["id"])["cents"]
        return total

    def open_orders(self):
        total = 0
        for row in self.db.execute("SELECT plant, pieces FROM order_line WHERE NOT shipped"):
            if row["pieces"] < 0:
                continue
            total += row["pieces"] * self.plant(row["plant"])["cents"]
        return total

    def write_off(self):
        total = 0
        for row in self.db.execute("SELECT plant, pieces FROM loss"):
            if row["pieces"] < 0:
                total += row["pieces"] * self.plant(row["plant"])["cents"]
        return total

    def receive(self, supplier, plant_id, pieces):
        self.supplier(supplier)
        with self.db:
            self.db.execute("UPDATE stock SET pieces = pieces + ? WHERE id = ?", (pieces, plant_id))
            self.db.execute("INSERT INTO movement VALUES (?, ?, 'in')", (plant_id, pieces))
        self.plants.pop(plant_id, None)

    def ship(self, order, plant_id, pieces):
        with self.db:
            self.db.execute("UPDATE stock SET pieces = pieces - ? WHERE id = ?", (pieces, plant_id))
            self.db.execute("INSERT INTO movement VALUES (?, ?, 'out')", (plant_id, pieces))
            self.db.execute("UPDATE order_line SET shipped = 1 WHERE id = ?", (order,))
        self.plants.pop(plant_id, None)

    def image(self, name):
        blob = self.images.get(name)
        if blob is not None:
            self.served += 1
            return blob
        entry = self.store.open("images", (name,)).read()
        if entry is None:
            raise FileNotFoundError(name)
        self.images[name] = dict(entry)
        return self.images[name]
