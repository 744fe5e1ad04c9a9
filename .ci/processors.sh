#!/usr/bin/env bash
# Run the tests that depend on the processor's instructions on emulated older x86 processors.
# usage: processors.sh PYTHON   PYTHON has the dev requirements; as root, after boards.sh
#
# No emulator at hand knows VNNI or AVX-512: a machine that has them runs all tests with them.
set -euo pipefail
python=$1
cd "$(dirname "$0")/.."
if [ "$(uname -m)" != x86_64 ]; then
    echo "no x86-64 machine: nothing to emulate"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export OMP_NUM_THREADS=1

# $1: name of the log. $2: QEMU's name of the processor. $3: flags of this machine that it lacks.
# The rest: tests.
emulated() {
    local log=$1 cpu=$2 lacks=$3
    shift 3
    # QEMU passes on this machine's /proc/cpuinfo, which the runtime reads.
    sed -E "s/\b($lacks)\b//g" /proc/cpuinfo > "$work/$log.cpuinfo"
    local on=(unshare --mount sh -c 'mount --bind "$1" /proc/cpuinfo; shift; exec "$@"' -
        "$work/$log.cpuinfo" qemu-x86_64-static -cpu "$cpu" "$python")
    "${on[@]}" -c 'from device_runtime import machine; assert machine.u8s8_saturates()'
    "${on[@]}" -m pytest -q -m "not emulated" -p no:cacheprovider "$@"
}

newer='avx512[a-z0-9_]*|avx_vnni[a-z0-9_]*|amx_[a-z0-9]*'
kernels=(tests/contracts/test_exporters.py tests/int8/test_exporters_onnx.py
    tests/int8/test_exporters_integers.py tests/int8/test_host_engine.py tests/int8/test_precheck.py)
declare -A running
start() {
    emulated "$@" > "$work/$1.log" 2>&1 &
    running[$1]=$!
}
start nehalem Nehalem "$newer|avx|avx2|fma|f16c|vaes|vpclmulqdq|bmi1|bmi2" "${kernels[@]}"
start haswell Haswell "$newer" "${kernels[@]}" tests/runs/test_parity_gate.py \
    tests/runtime/test_onnxruntime.py
start haswell-oracles Haswell "$newer" tests/int8/test_exporters_oracle.py \
    tests/int8/test_exporters_tflite_oracle.py
status=0
for log in "${!running[@]}"; do
    wait "${running[$log]}" || status=1
    printf -- '-- %s\n' "$log"
    grep -v "TCG doesn't support" "$work/$log.log"
done
exit $status
