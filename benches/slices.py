"""The four figures of Effective Python, item 74, on this machine: what benches/slices.rs is put beside.

python3 benches/slices.py
"""

import platform
import timeit

MIB = 1024 * 1024
film = bytes(100 * MIB)
view = memoryview(film)
kept = bytearray(film)
place = memoryview(kept)
received = bytes(MIB)
at, chunk, put = 1_234, 20 * MIB, 1_234_567


def joined():
    return b"".join([view[:put], received, view[put + MIB :]])


def in_place():
    place[put : put + MIB] = received


def measure(name, work, number):
    best = sorted(timeit.repeat(work, number=number, repeat=7))[3] / number
    print(f"{name:18} {best * 1e6:12.2f} us")


print(f"Python {platform.python_version()}")
measure("chunk copied", lambda: film[at : at + chunk], 20)
measure("chunk borrowed", lambda: view[at : at + chunk], 100_000)
measure("received joined", joined, 5)
measure("received in place", in_place, 200)
