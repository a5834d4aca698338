#!/usr/bin/env bash
# OpenCV 5.0.0 (opencv-python-headless 5.0.0.93): BMP files of 16 bits whose masks stand in a V4 header cannot be read.
#
# A good guess: a BMP of BI_BITFIELDS is read by the masks that its header holds. OpenCV takes masks of 32-bit files from the header,
# but those of 16-bit files only from behind it, where files with the old 40-byte header have them. With the 108-byte header
# imread gives None. The same pixels with the old header are read.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
version=${OPENCV_VERSION:-5.0.0.93}
venv/bin/pip install --quiet "opencv-python-headless==$version" numpy==2.4.6
cat >probe.py <<'PY'
import struct

import cv2

MASKS = (0xF800, 0x07E0, 0x001F)
PIXELS = struct.pack("<4H", 0xF800, 0x07E0, 0x001F, 0xFFFF) * 64


def bmp(header):
    core = struct.pack("<IiiHHIIiiII", header, 16, -16, 1, 16, 3, len(PIXELS), 2835, 2835, 0, 0)
    masks = struct.pack("<3I", *MASKS)
    rest = masks + (b"\0" * (header - 40 - 12) if header > 40 else b"")
    offset = 14 + len(core) + len(rest)
    return struct.pack("<2sIHHI", b"BM", offset + len(PIXELS), 0, 0, offset) + core + rest + PIXELS


for header in (40, 108):
    with open(f"{header}.bmp", "wb") as file:
        file.write(bmp(header))
old, new = cv2.imread("40.bmp"), cv2.imread("108.bmp")
print(cv2.__version__, "40-byte header:", None if old is None else old[0, :4].tolist(), "108-byte header:", new)
assert old is not None, "the file with the old header cannot be read any more"
assert new is None, "the file with the V4 header can be read now"
print("As described.")
PY
venv/bin/python probe.py
