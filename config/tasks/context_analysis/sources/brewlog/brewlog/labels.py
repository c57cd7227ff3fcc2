import textwrap

from .journal import summary


def label(batch, width=32):
    row = summary(batch)
    lines = [row["name"].upper(), f"{row['alcohol']} % vol.", f"{row['ibu']} IBU"]
    if row["hops"]:
        lines += textwrap.wrap("Hops: " + row["hops"], width)
    return "\n".join(line.center(width) for line in lines)
