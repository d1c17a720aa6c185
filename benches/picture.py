#!/usr/bin/env python3
"""Draws what a byte costs, from the table that `versus --table` writes: one panel a length of range,
one bar a server, the processor time per GiB sent.

cargo bench --bench versus -- --connections 64 --table versus.tsv
python3 benches/picture.py versus.tsv > benches/versus.svg
"""

import csv
import sys
from html import escape

ROW, LABEL, BAR, FIGURE, HEAD, GAP = 22, 150, 300, 70, 34, 26
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #24292f }
.head { font-weight: 600 }
.own { fill: #1a7f5a } .peer { fill: #9aa4af }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } .own { fill: #3fb68b } .peer { fill: #57606a } }
"""


def length(text):
    size = int(text)
    unit, name = (2**20, "MiB") if size >= 2**20 else (2**10, "KiB")
    return f"{size // unit} {name}"


def panels(rows):
    sizes = {}
    for row in rows:
        sizes.setdefault(int(row["range"]), []).append((row["server"], float(row["cpu_s_per_gib"])))
    return sorted(sizes.items())


def draw(connections, rows):
    out, y = [], 8
    for size, costs in panels(rows):
        y += HEAD
        out.append(f'<text class="head" x="0" y="{y - 12}">ranges of {length(size)}</text>')
        most = max(cost for _, cost in costs)
        for server, cost in sorted(costs, key=lambda pair: pair[1]):
            kind = "own" if server == "reelmap" else "peer"
            width = max(1, round(BAR * cost / most))
            out.append(f'<text x="0" y="{y + 15}">{escape(server)}</text>')
            out.append(f'<rect class="{kind}" x="{LABEL}" y="{y + 3}" width="{width}" height="{ROW - 6}"/>')
            out.append(f'<text x="{LABEL + width + 6}" y="{y + 15}">{cost:.2f} s</text>')
            y += ROW
    y += GAP
    out.append(f'<text x="0" y="{y - 6}">processor seconds per GiB sent, {connections} connections; less is better</text>')
    size = f"{LABEL + BAR + FIGURE} {y}"
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size}" width="{LABEL + BAR + FIGURE}" role="img">'
    return "\n".join([head, f"<style>{STYLE}</style>", *out, "</svg>"])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    with open(sys.argv[1], newline="") as table:
        rows = list(csv.DictReader(table, delimiter="\t"))
    connections = "64" if any(row["connections"] == "64" for row in rows) else rows[0]["connections"]
    print(draw(connections, [row for row in rows if row["connections"] == connections]))


main()
