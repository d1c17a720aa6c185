#!/usr/bin/env python3
"""Decodes each fixture from the byte that an answer names, and reads which frame it shows.

    cargo build --release --example seek
    tests/burnt_in.py [--seek target/release/examples/seek]

Every frame of every film is asked for by its time. The film is then cut to what a client has that asked for the
range from the sync sample on: the container's own structure, and no sample's byte before that offset. The first
picture that ffmpeg decodes of it has to bear the number of the answer's sync sample, and the picture that lies as
far behind as the answer says the number of the answer's frame. Prints a line a film; ends with 1 if one is wrong.
"""

import argparse, json, subprocess, sys, tempfile
from fractions import Fraction
from pathlib import Path

FIXTURES = Path(__file__).resolve().parent.parent / "fixtures"
sys.path.insert(0, str(FIXTURES))
sys.dont_write_bytecode = True  # fixtures/ is served as it is
import burnt_in


def sparse(data, holes, start):
    """The film with zeros where those spans lie before `start`."""
    cut = bytearray(data)
    for first, last in holes:
        last = min(last, start)
        if first < last:
            cut[first:last] = bytes(last - first)
    return bytes(cut)


def mp4(data, start):
    """All boxes but what the mdat have before `start`."""
    holes, at = [], 0
    while at + 8 <= len(data):
        size, head = int.from_bytes(data[at:at + 4], "big"), 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8:at + 16], "big"), 16
        end = at + size if size else len(data)
        if data[at + 4:at + 8] == b"mdat":
            holes.append((at + head, end))
        at = end
    return sparse(data, holes, start)


SEGMENT, CLUSTER, GROUP, BLOCK, SIMPLE_BLOCK = 0x18538067, 0x1F43B675, 0xA0, 0xA1, 0xA3


def blocks(data, at, end):
    """Where the blocks' frames lie, after the track, the time and the flags."""
    def number(at, marked):
        length = 9 - data[at].bit_length()
        value = int.from_bytes(data[at:at + length], "big")
        unknown = value == (1 << 8 * length - length + 1) - 1
        return value if marked else None if unknown else value - (1 << 7 * length), at + length

    while at < end:
        element, body = number(at, True)
        size, body = number(body, False)
        stop = end if size is None else min(body + size, end)
        if element in (BLOCK, SIMPLE_BLOCK):
            yield body + 4, stop
        # What has no size ends where its parent does; what follows it is read as if it were inside.
        if element in (SEGMENT, CLUSTER, GROUP):
            yield from blocks(data, body, stop)
        at = stop


def matroska(data, start):
    return sparse(data, blocks(data, 0, len(data)), start)


def mpegts(data, start, packet, skip):
    """The tables (PAT, PMT) from the front, then the file from `start` on."""
    tables, named = b"", {0}
    for at in range(0, len(data) - packet + 1, packet):
        head = data[at + skip:at + skip + 188]
        pid = (head[1] & 0x1f) << 8 | head[2]
        if pid in named:
            tables += data[at:at + packet]
            body = head[5 + head[4]:]
            if pid == 0:
                named.add((body[10] & 0x1f) << 8 | body[11])
            else:
                return tables + data[start:]
    return None


CONTAINERS = {
    ".mp4": (mp4, ["-ignore_editlist", "1"]),
    ".mov": (mp4, ["-ignore_editlist", "1"]),
    ".mkv": (matroska, []),
    ".webm": (matroska, []),
    ".ts": (lambda data, start: mpegts(data, start, 188, 0), []),
    ".m2ts": (lambda data, start: mpegts(data, start, 192, 4), []),
}


def answers(seek, film, facts):
    """What the program says of the time of each frame, asked on the film's own clock from its zero."""
    base = Fraction(facts["time_base"])
    zero = Fraction(facts["start_time"]) if facts["container"] == "mpegts" else 0
    ticks = sorted(row[1] - round(zero / base) for row in facts["packets"] if row[0] >= 0)
    asked = "".join(f"{at * base.numerator}/{base.denominator}\n" for at in ticks)
    run = subprocess.run([seek, film], input=asked, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in run.stdout.splitlines()[1:]]


def time(sample):
    return Fraction(sample["ticks"], sample["scale"])


def prove(seek, film, facts):
    """(frames asked, places decoded from, what is wrong)."""
    cut, options = CONTAINERS[film.suffix]
    data, rate, wrong, places = film.read_bytes(), Fraction(facts["frame_rate"]), [], {}
    for number, answer in enumerate(answers(seek, film, facts)):
        if not answer or answer.get("number") != number:
            wrong.append(f"asked for frame {number}, the answer is {answer}")
            continue
        start = answer["sync"]["offset"]
        if start not in places:
            with tempfile.NamedTemporaryFile(suffix=film.suffix) as part:
                part.write(cut(data, start))
                part.flush()
                places[start] = [burnt_in.number(picture) for picture in burnt_in.pictures(part.name, *options)]
        behind = round((time(answer["frame"]) - time(answer["sync"])) * rate)
        seen = places[start]
        if not seen or seen[0] != number - behind:
            wrong.append(f"decoded from {start}: {seen[:1]} is shown first, not {number - behind}")
        elif len(seen) <= behind or seen[behind] != number:
            wrong.append(f"decoded from {start}: no frame {number} at place {behind}")
    if len(places) < sum(row[5] for row in facts["packets"]):
        wrong.append("not every sync sample was named")
    return facts["frames"], len(places), wrong


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seek", default="target/release/examples/seek")
    options = parser.parse_args()
    bad = 0
    print(f"{'film':20} {'asked':>6} {'decoded from':>13}  result")
    for name, facts in json.loads((FIXTURES / "expected.json").read_text()).items():
        asked, places, wrong = prove(options.seek, FIXTURES / name, facts)
        bad += bool(wrong)
        print(f"{name:20} {asked:6} {places:6} places  {'; '.join(wrong[:3]) or 'all show what was named'}", flush=True)
    return bad > 0


if __name__ == "__main__":
    sys.exit(main())
