#!/usr/bin/env bash
# PyTorch 2.13.0: torch.save names builtins.getattr in harmless checkpoints.
#
# A good guess: a pickle that names getattr was made to do harm. But torch.save writes protocol 2, which has no way to name a nested class
# (Trainer.Mode) except getattr(Trainer, "Mode"). So an enum member beside the weights is enough, and a reader that refuses a
# file because getattr stands in it refuses such checkpoints. With pickle_protocol=4 the name is written as it is.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet torch==2.13.0 numpy==2.4.6
cat >probe.py <<'PY'
import enum
import pickletools
import zipfile

import torch


class Trainer:
    class Mode(enum.Enum):
        FAST = 1


def names(protocol):
    torch.save({"weight": torch.zeros(2), "mode": Trainer.Mode.FAST}, "checkpoint.pth", pickle_protocol=protocol)
    with zipfile.ZipFile("checkpoint.pth") as archive:
        pickle = archive.read(next(name for name in archive.namelist() if name.endswith("data.pkl")))
    return [str(argument) for operation, argument, _ in pickletools.genops(pickle) if operation.name == "GLOBAL"], pickle


globals_2, _ = names(2)
_, pickle_4 = names(4)
print("protocol 2:", globals_2)
assert any(name.endswith("getattr") for name in globals_2), "protocol 2 names no getattr any more"
assert b"getattr" not in pickle_4, "protocol 4 names getattr"
print("As described: protocol 2 names getattr, protocol 4 does not.")
PY
venv/bin/python probe.py
