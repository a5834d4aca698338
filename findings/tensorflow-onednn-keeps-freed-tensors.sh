#!/usr/bin/env bash
# TensorFlow 2.21.0 on CPUs: with oneDNN, the memory of freed tensors stays with the process.
#
# A good guess: the CPU allocator is malloc, so a large tensor that is freed goes back to the system at once. It does so without
# oneDNN. With oneDNN, which is on by default on x86-64, tensors come from a pool instead: after 768 MB of tensors are freed, resident
# memory is still what it was with them. So a process's resident memory says nothing about what it still
# uses, and two programs side by side each keep their peak. TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1 gives the memory back and keeps oneDNN.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv venv
venv/bin/pip install --quiet tensorflow-cpu==2.21.0
cat >probe.py <<'PY'
import tensorflow as tf


def resident_megabytes():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) // 1024


with tf.device("cpu:0"):
    tf.zeros([1])
    before = resident_megabytes()
    tensors = [tf.random.uniform([64, 1024, 1024]) for _ in range(3)]  # 256 MB each
    held = resident_megabytes()
    del tensors
    print("kept" if resident_megabytes() - before > 0.8 * (held - before) > 500 else "returned")
PY
expect() {
  local expected=$1 found
  shift
  found=$(env TF_CPP_MIN_LOG_LEVEL=3 "$@" venv/bin/python probe.py 2>/dev/null)
  echo "$*: $found"
  [ "$found" = "$expected" ] || { echo "expected: $expected" >&2; exit 1; }
}
expect kept TF_ENABLE_ONEDNN_OPTS=1
expect returned TF_ENABLE_ONEDNN_OPTS=0
expect returned TF_ENABLE_ONEDNN_OPTS=1 TF_ONEDNN_USE_SYSTEM_ALLOCATOR=1
