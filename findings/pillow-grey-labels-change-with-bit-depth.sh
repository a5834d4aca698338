#!/usr/bin/env bash
# Pillow 12.3.0: the values of a grey PNG depend on its bit depth; label maps of 2 and 4 bits come back multiplied.
#
# A good guess: a label map of classes 0 to 3 saved as a 2-bit grey PNG gives 0 to 3. Pillow stretches grey of 2 and 4 bits to the full
# range (× 85, × 17), but gives 1-bit grey as 0 and 1 (after convert("L"): 0 and 255). A palette PNG of the same bits gives the
# indices. So a reader of label maps must take the stored numbers itself.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet pillow==12.3.0 numpy==2.4.6
cat >probe.py <<'PY'
import struct
import zlib

import numpy
from PIL import Image


def png(bits, row):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 8 // bits, 1, bits, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes([0, row]))) + chunk(b"IEND", b"")


# Stored: 0 1 2 3; 5 10; 0 1 0 1 0 1 0 1.
stored = {2: 0b00011011, 4: 0b01011010, 1: 0b01010101}
seen = {}
for bits, row in stored.items():
    with open(f"{bits}.png", "wb") as file:
        file.write(png(bits, row))
    seen[bits] = numpy.asarray(Image.open(f"{bits}.png")).astype(int).tolist()[0]
print(seen)
assert seen[2] == [0, 85, 170, 255], "2-bit grey is not stretched any more"
assert seen[4] == [85, 170], "4-bit grey is not stretched any more"
assert seen[1] == [0, 1] * 4, "1-bit grey is not 0 and 1 any more"
print("As described.")
PY
venv/bin/python probe.py
