#!/usr/bin/env python3
"""Compares answers to "what is shown at this time?" with what ffprobe reads in the same files.

    cargo build --release --example seek
    tests/seek_table.py [--seek target/release/examples/seek] [-v] FILE-OR-FOLDER...

For every file that ffprobe reads packets from: 50 times spread over it, and each sync sample's own time and one
tick before it. The byte offsets of the frame and of its sync sample, and the frame's number, have to be those of
`ffprobe -show_packets`. Prints a line a file and the sums; ends with 1 if a difference has no reason.

What ffprobe means by its answers:
- a packet flagged D is decoded and not shown; one without a presentation time is no frame of its own;
- time zero is its zero for MP4 and Matroska, and the smallest time of any stream for MPEG-TS;
- its offset is the sample's first byte (MP4), lies in the block's element (Matroska), is that of the packet that
  starts the PES (MPEG-TS).
"""

import argparse, bisect, itertools, json, struct, subprocess, sys, tempfile
from fractions import Fraction
from pathlib import Path

SPREAD = 50


def probe(path, *options):
    """The streams, the container's name, and the packets of every stream in the file's order."""
    command = ["ffprobe", "-v", "quiet", *options, "-of", "json", "-show_format", "-show_streams", "-show_packets",
               "-show_entries", "format=format_name:stream=index,duration,codec_type,codec_name,id,time_base:"
               "stream_disposition=attached_pic,timed_thumbnails:packet=stream_index,pts,dts,duration,size,pos,flags",
               str(path)]
    run = subprocess.run(command, capture_output=True, timeout=600)
    try:
        found = json.loads(run.stdout or b"{}")
    except json.JSONDecodeError:
        return None
    return found if found.get("packets") and found.get("streams") else None


class Oracle:
    """What is shown when, by ffprobe's packets of the main stream."""

    def __init__(self, found):
        self.container = found["format"]["format_name"]
        self.duration = max((Fraction(s.get("duration", 0)) for s in found["streams"]
                             if s.get("codec_type") in ("video", "audio")), default=0)
        packets = {}
        for order, packet in enumerate(found["packets"]):
            if "pts" in packet and "pos" in packet:
                packets.setdefault(packet["stream_index"], []).append(
                    (int(packet["pts"]), order, int(packet["pos"]), packet["flags"], int(packet.get("duration", 0))))
        stream = self.main(found["streams"], packets)
        self.stream = stream
        if not stream:
            return
        base = Fraction(stream["time_base"])
        zero = Fraction(0)
        if "mpegts" in self.container:
            bases = {s["index"]: Fraction(s["time_base"]) for s in found["streams"]}
            zero = min(p[0] * bases[index] for index, list_ in packets.items() for p in list_[:2000])
        self.shift, self.base = int(zero / base), base
        mine = [(p[0] - self.shift, *p[1:]) for p in packets[stream["index"]]]
        self.shown = sorted(p for p in mine if "D" not in p[3])
        self.syncs = sorted(p for p in mine if "K" in p[3])
        self.times = [p[0] for p in self.shown]
        # Where frames begin that have a number of their own.
        self.begun = sorted(t - self.shift for t in found["pictures"]) if "pictures" in found else self.times
        self.sync_times = [p[0] for p in self.syncs]
        # Hidden packets after shown ones: several edits, each with the hidden ones it needs before it.
        visible = [i for i, p in enumerate(mine) if "D" not in p[3]]
        self.edited = any("D" in p[3] for p in mine[visible[0]:visible[-1]])

    @staticmethod
    def main(streams, packets):
        fits = [s for s in streams if any("D" not in p[3] for p in packets.get(s["index"], []))]
        for kind in "video", "audio":
            for stream in fits:
                if stream.get("codec_type") == kind and not any(stream.get("disposition", {}).values()):
                    return stream
        return None

    def at(self, ticks):
        """The frame's number and the two offsets at that time (a Fraction of ticks)."""
        rank = max(bisect.bisect_right(self.times, ticks) - 1, 0)
        frame = self.shown[rank]
        place = bisect.bisect_right(self.sync_times, frame[0]) - 1
        sync = self.syncs[max(place, 0)] if self.syncs else self.shown[0]
        if self.edited:
            own = [p for p in self.syncs if p[1] <= frame[1] and p[0] <= frame[0]]
            sync = max(own, key=lambda p: p[1], default=sync)
        number = rank if self.begun is self.times else max(bisect.bisect_right(self.begun, frame[0]) - 1, 0)
        return number, frame[2], sync[2]

    def asked(self):
        """The times asked, in ticks, each a Fraction."""
        end = max(p[0] + max(p[4], 1) for p in self.shown)
        if self.duration:
            # Where an edit list cuts the last frame short, the presentation ends before it does.
            end = min(end, self.duration / self.base)
        times = [Fraction(end * (2 * k + 1), 2 * SPREAD) for k in range(SPREAD)]
        for sync in self.syncs:
            if "D" not in sync[3]:
                times += [Fraction(sync[0]), Fraction(sync[0] - 1)]
        return [t for t in times if 0 <= t < end]


def ask(seek, path, times, base):
    """The program's description of the file, and its answers."""
    clock = base.denominator
    fine = max(1, min(1000, (2**32 - 1) // clock))
    lines = [f"{int(t * base.numerator * fine)}/{clock * fine}" for t in times]
    run = subprocess.run([seek, str(path)], input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=600)
    if run.returncode:
        return {"error": run.stderr.strip()[-300:] or f"exit {run.returncode}"}, []
    head, *answers = [json.loads(line) for line in run.stdout.splitlines()]
    # What was really asked, cut to the clock that a request can name.
    return head, list(zip([Fraction(int(t * base.numerator * fine), fine * base.numerator) for t in times], answers))


def same(oracle, wanted, sample):
    start, end = sample["offset"], sample["offset"] + sample["length"]
    return start <= wanted < max(end, start + 1) if "matroska" in oracle.container else start == wanted


def compare(seek, path, found):
    """One line of the table: (asked, equal, differences by what differs, why the file isn't compared)."""
    if not found:
        return 0, 0, {}, "ffprobe reads no packets"
    oracle = Oracle(found)
    if not oracle.stream:
        return 0, 0, {}, "nothing is shown or heard"
    times = oracle.asked()
    head, answers = ask(seek, path, times, oracle.base)
    if "error" in head:
        return len(times), 0, {"error: " + head["error"]: len(times)}, None
    equal, different = 0, {}
    for ticks, answer in answers:
        number, frame, sync = oracle.at(ticks)
        if not answer:
            wrong = "no answer"
        elif "error" in answer:
            wrong = "error: " + answer["error"]
        else:
            parts = [same(oracle, frame, answer["frame"]), same(oracle, sync, answer["sync"]), number == answer["number"]]
            wrong = " ".join(name for name, right in zip(("frame", "sync", "number"), parts) if not right)
        if wrong:
            different.setdefault(wrong, []).append((float(ticks * oracle.base), number, frame, sync, answer))
        else:
            equal += 1
    return len(answers), equal, different, None


NO_PARSER = "-fflags", "noparse"
SHIFTED = "-advanced_editlist", "0"


def without_parser(path, *options):
    return probe(path, *options, *NO_PARSER)


def boxes(data, at, end):
    while at + 8 <= end:
        size, kind = struct.unpack(">I4s", data[at:at + 8])
        head = 8
        if size == 1:
            size, head = struct.unpack(">Q", data[at + 8:at + 16])[0], 16
        size = size or end - at
        if size < head:
            return
        yield kind, at, at + head, min(at + size, end)
        at += size


def fragment_times(data):
    """For each track its samples in fragments: byte offset to (presentation time, shift), as the standard says."""
    word = lambda at: struct.unpack(">I", data[at:at + 4])[0]
    defaults, samples, ends = {}, {}, {}
    for kind, moof, body, end in boxes(data, 0, len(data)):
        for kind2, _, body2, end2 in boxes(data, body, end) if kind in (b"moov", b"moof") else []:
            for kind3, _, at, stop in boxes(data, body2, end2) if kind2 in (b"mvex", b"traf") else []:
                if kind3 == b"trex":
                    defaults[word(at + 4)] = word(at + 12), word(at + 16)
                elif kind3 == b"tfhd":
                    flags, track = word(at) & 0xffffff, word(at + 4)
                    duration, size = defaults.get(track, (0, 0))
                    at, time = at + 8, ends.get(track, 0)
                    base, at = (struct.unpack(">Q", data[at:at + 8])[0], at + 8) if flags & 1 else (moof, at)
                    at += 4 if flags & 2 else 0
                    duration, at = (word(at), at + 4) if flags & 8 else (duration, at)
                    size = word(at) if flags & 16 else size
                elif kind3 == b"tfdt":
                    time = struct.unpack(">Q", data[at + 4:at + 12])[0] if data[at] else word(at + 4)
                elif kind3 == b"trun":
                    flags, count = word(at), word(at + 4)
                    at += 8
                    offset, at = (base + struct.unpack(">i", data[at:at + 4])[0], at + 4) if flags & 1 else (offset, at)
                    at += flags & 4
                    for _ in range(count):
                        own, at = (word(at), at + 4) if flags & 0x100 else (duration, at)
                        length, at = (word(at), at + 4) if flags & 0x200 else (size, at)
                        at += 4 if flags & 0x400 else 0
                        shift, at = (struct.unpack(">i", data[at:at + 4])[0], at + 4) if flags & 0x800 else (0, at)
                        samples.setdefault(track, {})[offset] = time + shift, shift
                        time, offset = time + own, offset + length
                    ends[track] = time
    return samples


def is_fragmented(path):
    data = path.read_bytes()
    return b"moof" in {kind for kind, *_ in boxes(data, 0, len(data))}


def with_whole_edits(path, *options):
    """The packets as they are where ffprobe only shifts them by the edit list, those before time zero flagged as hidden."""
    return without_negative_times(path, *options, *SHIFTED) if is_fragmented(path) else None


def edits(data):
    """For each track its edit list: when each edit begins and ends, in seconds, and its time in the media; -1 if empty."""
    word = lambda at: struct.unpack(">I", data[at:at + 4])[0]
    clock, lists = 1, {}
    for kind, _, body, end in boxes(data, 0, len(data)):
        for kind2, _, body2, end2 in boxes(data, body, end) if kind == b"moov" else []:
            if kind2 == b"mvhd":
                clock = word(body2 + (20 if data[body2] else 12))
            for kind3, _, body3, end3 in boxes(data, body2, end2) if kind2 == b"trak" else []:
                if kind3 == b"tkhd":
                    track = word(body3 + (20 if data[body3] else 12))
                for kind4, _, at, _ in boxes(data, body3, end3) if kind3 == b"edts" else []:
                    form = ">QqI" if data[at] else ">IiI"
                    size, start, list_ = struct.calcsize(form), Fraction(0), []
                    for edit in range(word(at + 4) if kind4 == b"elst" else 0):
                        duration, time, _ = struct.unpack_from(form, data, at + 8 + edit * size)
                        list_.append((start, start + Fraction(duration, clock), time))
                        start = list_[-1][1]
                    lists[track] = list_
    return lists


def with_empty_edits(path, *options):
    """The packets, those in an empty edit after the first media flagged as hidden: ffprobe shows the media's beginning there."""
    try:
        lists = edits(path.read_bytes())
    except struct.error:
        return None
    lists = {track: list(itertools.dropwhile(lambda edit: edit[2] == -1, list_)) for track, list_ in lists.items()}
    gaps = {track: [edit for edit in list_ if edit[2] == -1] for track, list_ in lists.items()}
    if not any(gaps.values()):
        return None
    found = probe(path, *options)
    for stream in found["streams"]:
        mine = [p for p in found["packets"] if p["stream_index"] == stream["index"] and "pts" in p and "D" not in p["flags"]]
        for start, end, _ in gaps.get(int(stream.get("id", "0"), 16), []):
            for packet in mine:
                if start <= int(packet["pts"]) * Fraction(stream["time_base"]) < end:
                    packet["flags"] = packet["flags"].replace("_", "D", 1) if "_" in packet["flags"] else packet["flags"] + "D"
    return found


def without_negative_times(path, *options):
    """The packets, those before the first edit, or time zero, flagged as hidden."""
    found = probe(path, *options)
    if not is_fragmented(path):
        return found
    begins = {track: next((start for start, _, time in list_ if time != -1), list_[-1][1] if list_ else 0)
              for track, list_ in edits(path.read_bytes()).items()}
    ticks = {s["index"]: begins.get(int(s.get("id", "0"), 16), 0) / Fraction(s["time_base"]) for s in found["streams"]}
    for packet in found["packets"]:
        if int(packet.get("pts", 0)) < ticks[packet["stream_index"]]:
            packet["flags"] = packet["flags"].replace("_", "D", 1) if "_" in packet["flags"] else packet["flags"] + "D"
    return found


def without_added_shift(path, *options):
    """The packets with the times that fragments tell.

    Where a shift (composition offset) in a fragment is negative, ffprobe adds the largest one it has met so far to
    all presentation times of that track from there on."""
    try:
        samples = fragment_times(path.read_bytes())
    except (struct.error, UnboundLocalError):
        return None
    if not any(shift < 0 for track in samples.values() for _, shift in track.values()):
        return None
    found = probe(path, *options)
    for stream in found["streams"]:
        times = samples.get(int(stream.get("id", "0"), 16), {})
        mine = [p for p in found["packets"] if p["stream_index"] == stream["index"] and int(p.get("pos", -1)) in times]
        if mine:
            # Against an edit list nothing is done here: the last packets have it, and all of the shift.
            edit = max(int(p["pts"]) - times[int(p["pos"])][0] for p in mine) + min(shift for _, shift in times.values())
        for packet in mine:
            packet["pts"] = times[int(packet["pos"])][0] + edit
    return found


def with_shifts_of_fragments(path, *options):
    """The packets with the shifts (composition offsets) that fragments tell.

    Where the moov has samples, and no shifts for them, ffprobe leaves out those of the fragments."""
    try:
        samples = fragment_times(path.read_bytes())
    except (struct.error, UnboundLocalError):
        return None
    found = probe(path, *options)
    for stream in found["streams"]:
        times = samples.get(int(stream.get("id", "0"), 16), {})
        mine = [p for p in found["packets"] if p["stream_index"] == stream["index"] and "dts" in p and "pos" in p]
        before = {int(p["pts"]) - int(p["dts"]) for p in mine if int(p["pos"]) not in times}
        if len(before) == 1 and any(shift for _, shift in times.values()):
            for packet in mine:
                packet["pts"] = int(packet["dts"]) + times.get(int(packet["pos"]), (0, 0))[1]
    return found


def first_film_alone(path, *options):
    """The packets before another Matroska file, joined to this one."""
    data = path.read_bytes()
    joint = data.find(b"\x1a\x45\xdf\xa3", 4)
    if data[:4] != b"\x1a\x45\xdf\xa3" or joint < 0:
        return None
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as first:
        first.write(data[:joint])
        first.flush()
        return probe(Path(first.name), *options)


def decoded_before_zero(path, *options):
    """The packets, those of Matroska blocks before time zero flagged as hidden.

    ffprobe gives such a block no time, or makes one up from its neighbours. Nothing of it is shown; a decoder starts at
    the last one among them that is a key."""
    found = probe(path, *options)
    if "matroska" not in found["format"]["format_name"]:
        return None
    data = path.read_bytes()
    bare = probe(path, *options, "-fflags", "nofillin")
    # The time of a block, from its cluster's, stands behind the track's number.
    early = [p for p in bare["packets"] if "pts" not in p and "pos" in p
             and data[int(p["pos"])] & 0x80 and data[int(p["pos"]) + 1] & 0x80]
    if not early:
        return None
    for back, packet in enumerate(reversed(early), 1):
        packet["pts"], packet["flags"] = -back, packet["flags"].replace("_", "D", 1)
    return bare


def with_laces_spread(path, *options):
    """The packets, those of one Matroska block evenly apart up to the next block."""
    found = probe(path, *options)
    if "matroska" not in found["format"]["format_name"]:
        return None
    for stream in found["streams"]:
        mine = [p for p in found["packets"] if p["stream_index"] == stream["index"] and "pts" in p and "pos" in p]
        blocks = [list(group) for _, group in itertools.groupby(mine, key=lambda p: p["pos"])]
        each = 0
        for block, following in zip(blocks, [*blocks[1:], None]):
            start = int(block[0]["pts"])
            each = (int(following[0]["pts"]) - start) // len(block) if following else each
            for number, packet in enumerate(block):
                packet["pts"] = start + number * each
    return found


def with_fields_in_pairs(path, *options):
    """The packets, and when each decoded picture begins: half as many, where each field is a packet."""
    command = ["ffprobe", "-v", "quiet", "-of", "json", "-select_streams", "v:0", "-show_frames",
               "-show_entries", "frame=pts,interlaced_frame", str(path)]
    frames = json.loads(subprocess.run(command, capture_output=True, timeout=600).stdout or b"{}").get("frames", [])
    pictures = [int(f["pts"]) for f in frames if "pts" in f]
    if not pictures or not all(f.get("interlaced_frame") for f in frames):
        return None
    return {**probe(path, *options), "pictures": pictures}


def without_duplicates(path, *options):
    """The packets, where no transport packet is sent twice in a row: ffprobe takes the second one for more of the stream."""
    data = path.read_bytes()
    sizes = [size for size in (188, 192, 204) if len(data) > 9 * size
             and all(data[k * size + (size == 192) * 4] == 0x47 for k in range(9))]
    size, kept, before = sizes[0] if sizes else 0, [], {}
    for at in range(0, len(data), size or len(data)):
        packet = data[at + (size == 192) * 4:][:188]
        if len(packet) < 188 or packet[0] != 0x47:
            continue
        pid = packet[1] & 0x1f, packet[2]
        # A clock reference may be another one.
        clock = packet[3] & 0x20 and packet[4] > 6 and packet[5] & 0x10
        bytes_ = packet[:6] + packet[12:] if clock else packet
        if before.get(pid) != bytes_ or not packet[3] & 0x10:
            kept.append(at)
        before[pid] = bytes_
    if not sizes or len(kept) * size + size > len(data):
        return None
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as once:
        once.write(b"".join(data[at:at + size] for at in kept))
        once.flush()
        found = probe(Path(once.name), *options)
    for packet in found["packets"] if found else []:
        if "pos" in packet:
            packet["pos"] = kept[int(packet["pos"]) // size]
    return found


def until_recoded(path, *options):
    """The packets of an MPEG-TS whose pictures go over to another type: those before as they are, those from there on as a
    file that begins there has them."""
    data = path.read_bytes()
    size = 188
    if any(data[k * size:k * size + 1] != b"\x47" for k in range(9)):
        return None
    tables, types = set(), {}
    for at in range(0, len(data) - size + 1, size):
        pid, begins = (data[at + 1] & 0x1f) << 8 | data[at + 2], data[at + 1] & 0x40
        start = at + 4 + (1 + data[at + 4] if data[at + 3] & 0x20 else 0)
        section = data[start + 1 + data[start]:at + size] if begins and start < at + size else b""
        if pid == 0 and len(section) > 11:
            tables.add((section[10] & 0x1f) << 8 | section[11])
        elif pid in tables and len(section) > 12:
            end, line = 3 + ((section[1] & 15) << 8 | section[2]) - 4, 12 + ((section[10] & 15) << 8 | section[11])
            while line + 5 <= min(end, len(section)):
                stream, kind = (section[line + 1] & 0x1f) << 8 | section[line + 2], section[line]
                if types.setdefault(stream, kind) != kind:
                    return recoded_at(path, data, at, options)
                line += 5 + ((section[line + 3] & 15) << 8 | section[line + 4])
    return None


def recoded_at(path, data, joint, options):
    """The packets of both sides of that offset, each read by itself."""
    found, after = probe(path, *options), None
    with tempfile.NamedTemporaryFile(suffix=path.suffix) as rest:
        rest.write(data[joint:])
        rest.flush()
        after = probe(Path(rest.name), *options)
    kinds = [{s["index"]: s.get("codec_type") for s in side["streams"]} for side in (found, after or found)]
    if not after or kinds[0] != kinds[1]:
        return None
    for packet in after["packets"]:
        if "pos" in packet:
            packet["pos"] = int(packet["pos"]) + joint
    before = [p for p in found["packets"] if "pos" in p and int(p["pos"]) < joint]
    return {**found, "packets": before + after["packets"]}


def alone(path, *options):
    """The packets of the main stream, read by themselves, of an MP4 that is cut off."""
    data = path.read_bytes()
    whole = at = 0
    while at + 16 <= len(data):
        size, _, long = struct.unpack_from(">I4sQ", data, at)
        whole = at = at + (long if size == 1 else size or len(data) - at)
        if size == 1 and long < 16 or 1 < size < 8:
            return None
    found = probe(path, *options)
    stream = Oracle(found).stream
    if whole <= len(data) or "mov" not in found["format"]["format_name"] or not stream:
        return None
    return probe(path, *options, "-select_streams", str(stream["index"]))


def with_parity_behind(path, *options):
    """The packets, each where a packet of 204 bytes begins: with its sync byte."""
    data = path.read_bytes()
    found = probe(path, *options)
    places = [int(p["pos"]) for p in found["packets"] if "pos" in p]
    begins = lambda at: data[at:at + 1] == b"\x47"
    if "mpegts" not in found["format"]["format_name"] or not places or all(map(begins, places)):
        return None
    if not all(begins(at + 16) and begins(at + 16 + 204 * (at + 220 < len(data))) for at in places):
        return None
    for packet in found["packets"]:
        if "pos" in packet:
            packet["pos"] = int(packet["pos"]) + 16
    return found


def with_short_blocks_at_their_begin(path, *options):
    """The packets, each of them begun where the one before ends.

    What ffprobe says of Vorbis forgets within a page which block was before. So it takes a short one behind a long one,
    with which it overlaps, for as short as one behind a short one, and has it begin late."""
    found = probe(path, *options)
    if [stream.get("codec_name") for stream in found["streams"]] != ["vorbis"]:
        return None
    told = [packet for packet in found["packets"] if "pts" in packet]
    ends = [int(packet["pts"]) + int(packet.get("duration", 0)) for packet in told]
    for packet, end in zip(told[1:], ends):
        packet["pts"] = min(int(packet["pts"]), end)
    return found


def with_times_by_pages(path, *options):
    """The packets of FLAC in Ogg: those without a time evenly between their neighbours, and those of the first page
    right before the second."""
    found = probe(path, *options)
    if [stream.get("codec_name") for stream in found["streams"]] != ["flac"] or "ogg" not in found["format"]["format_name"]:
        return None
    mine = [p for p in found["packets"] if "pos" in p]
    told = [(rank, int(p["pts"])) for rank, p in enumerate(mine) if "pts" in p]
    if len(told) < 2:
        return None
    for (rank, time), (next_rank, next_time) in itertools.pairwise(told):
        step = (next_time - time) // (next_rank - rank)
        for k in range(rank, next_rank):
            mine[k]["pts"] = time + (k - rank) * step
    rank, time = told[-1]
    for k, packet in enumerate(mine[rank:]):
        packet["pts"] = time + k * step
    first = [p for p in mine if p["pos"] == mine[0]["pos"]]
    if 2 < len(first) < len(mine):
        step = first[1]["pts"] - first[0]["pts"]
        late = mine[len(first)]["pts"] - first[-1]["pts"] - step
        for packet in first:
            packet["pts"] += late
    return found


# Other ways to read a file with ffprobe, and what it means if the answers equal those.
REASONS = {
    with_fields_in_pairs: "two fields, each a packet of its own, are one frame and have one number",
    without_parser: "the tables name other sync samples than the pictures do, and pictures aren't read",
    with_empty_edits: "an empty edit shows nothing new, wherever it stands (ISO/IEC 14496-12 §8.6.6)",
    without_duplicates: "a packet that is sent twice in a row counts once (ISO/IEC 13818-1 §2.4.3.3)",
    with_whole_edits: "an edit of no duration lasts as long as the fragments do (ISO/IEC 14496-12 §8.6.6)",
    without_negative_times: "an edit list hides what comes before its first edit, which ffprobe doesn't flag in fragments",
    first_film_alone: "another film that is joined to a Matroska file is not read",
    decoded_before_zero: "ffprobe gives blocks before time zero no times, or others; none is shown, and decoders start among them",
    with_laces_spread: "frames that share a block of unknown length are spread evenly up to the next one",
    with_short_blocks_at_their_begin: "ffprobe forgets what a short block of Vorbis overlaps, and has it begin late",
    without_added_shift: "ffprobe adds the largest negative shift of the fragments to their times",
    with_times_by_pages: "a page of FLAC tells when its last packet ends; ffprobe doesn't tell all packets' times, and begins at zero",
    with_shifts_of_fragments: "ffprobe leaves out the shifts of fragments where the moov's samples have none",
    until_recoded: "the pictures go over to another type, and ffprobe goes on to read them as the first",
    alone: "the file is cut off, and ffprobe ends with the first sample of another stream that it hasn't got",
    with_parity_behind: "ffprobe counts the place of a packet of 204 bytes from 16 before its sync byte",
}


# Two of them at once.
ALSO = {
    "": (),
    "an edit of no duration lasts as the fragments do, and ": SHIFTED,
    "pictures aren't read for sync samples, and ": NO_PARSER,
    "an edit of no duration lasts as the fragments do, pictures aren't read for sync samples, and ": (*SHIFTED, *NO_PARSER),
}


# ffprobe's names for what is read here; the others are refused by name, never guessed at.
READ = {"mov", "matroska", "mpegts", "wav", "mp3", "aac", "ogg"}
READ_OF_OGG = {"opus", "vorbis", "flac"}
REFUSED = "no container that is known here"


def reason(seek, path, found, different):
    """Why a file's answers differ; none if that isn't known."""
    container = found["format"]["format_name"]
    codecs = {stream.get("codec_name") for stream in found["streams"]}
    unread = not READ & set(container.split(",")) or container == "ogg" and codecs - READ_OF_OGG
    if unread and len(different) == 1 and REFUSED in list(different)[0]:
        return f"no reader for this container: {container}"
    for also, options in ALSO.items() if "mov" in container else [("", ())]:
        for way, why in REASONS.items():
            found = way(path, *options)
            asked, equal, _, skipped = compare(seek, path, found) if found else (0, 0, {}, "")
            if asked and asked == equal:
                return also + why
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seek", default="target/release/examples/seek")
    parser.add_argument("-v", "--verbose", action="store_true", help="show the first differences of each kind")
    parser.add_argument("files", nargs="+", type=Path)
    options = parser.parse_args()
    asked = equal = compared = 0
    explained = {}
    print(f"{'file':64} {'asked':>6} {'equal':>6} {'differ':>6}  reason")
    files = [sorted(f for f in p.iterdir() if f.is_file()) if p.is_dir() else [p] for p in options.files]
    for path in [path for list_ in files for path in list_]:
        found = probe(path)
        count, right, different, skipped = compare(options.seek, path, found)
        asked, equal, compared = asked + count, equal + right, compared + (skipped is None)
        why = reason(options.seek, path, found, different) if count != right else None
        if why:
            explained[why] = explained.get(why, 0) + count - right
        kinds = "; ".join(f"{kind} ({len(list_) if isinstance(list_, list) else list_})" for kind, list_ in different.items())
        if skipped is None or options.verbose:
            print(f"{path.name[:64]:64} {count:6} {right:6} {count - right:6}  {skipped or why or kinds}", flush=True)
        if options.verbose:
            for list_ in different.values() if not why else []:
                for line in list_[:2] if isinstance(list_, list) else []:
                    print("    at %.6f: frame #%d at %d, sync at %d; answered %s" % line)
    unexplained = asked - equal - sum(explained.values())
    for why, count in explained.items():
        print(f"{count:6} times: {why}")
    print(f"{compared} files compared: {asked} times asked, {equal} equal, {asked - equal} different, "
          f"{unexplained} of them without a reason")
    return unexplained != 0


if __name__ == "__main__":
    sys.exit(main())
