"""What the player can type, and what the game answers."""

ARTICLES = {"a", "an", "the", "some"}


class World:
    def __init__(self, rooms, things, hero):
        self.rooms = rooms
        self.things = things
        self.hero = hero
        self.turn = 0


def noun(words):
    rest = [w for w in words[1:] if w not in ARTICLES]
    return " ".join(rest)


def do_look(world, words):
    room = world.rooms[world.hero.place]
    lines = [room.title.upper(), room.text]
    for thing in room.things:
        lines.append(f"There is {thing.article} {thing.name} here.")
    lines.append("Exits: " + ", ".join(sorted(room.exits)))
    return "\n".join(lines)


def do_inventory(world, words):
    lines = ["You carry"]
    for thing in world.hero.things:
        lines.append(f"  {thing.article} {thing.name}")
    return "\n".join(lines)


def do_read(world, words):
    page = world.things[world.hero.hand]
    lines = [page.title.upper(), page.text]
    for note in page.notes:
        lines.append(f"In the margin: {note.ink}, {note.words}")
    lines.append("Torn out: " + ", ".join(sorted(page.lost)))
    return "\n".join(lines)


def do_take(world, words):
    name = noun(words)
    room = world.rooms[world.hero.place]
    for thing in room.things:
        if thing.name == name and thing.weight < 10:
            room.things.remove(thing)
            world.hero.things.append(thing)
            return f"You take the {name}."
    return f"There is no {name} to take."


def do_drop(world, words):
    name = noun(words)
    room = world.rooms[world.hero.place]
    for thing in world.hero.things:
        if thing.name == name:
            world.hero.things.remove(thing)
            room.things.append(thing)
            return f"You drop the {name}."
    return f"You have no {name}."


def do_recruit(world, words):
    who = noun(words)
    town = world.towns[world.party.camp]
    for person in town.people:
        if person.name == who and person.price < 50:
            town.people.remove(person)
            world.party.people.append(person)
            return f"{who} joins you."
    return f"Nobody here is called {who}."


def do_examine(world, words):
    name = noun(words)
    room = world.rooms[world.hero.place]
    for thing in room.things + world.hero.things:
        if thing.name == name:
            return thing.text
    return f"You see no {name}."


def do_go(world, words):
    direction = noun(words)
    room = world.rooms[world.hero.place]
    if direction not in room.exits:
        return "There is no way in that direction."
    world.hero.place = room.exits[direction]
    world.turn += 1
    return do_look(world, words)


def do_load(world, words):
    crate = noun(words)
    quay = world.harbours[world.ship.berth]
    for box in quay.freight:
        if box.label == crate and box.tons < 3:
            quay.freight.remove(box)
            world.ship.freight.append(box)
            return f"The {crate} is on board."
    return f"No {crate} on the quay."


VERBS = {name[3:]: function for name, function in list(globals().items()) if name.startswith("do_")}
