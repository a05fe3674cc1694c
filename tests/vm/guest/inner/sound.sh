# Everything, with the default repair; then once more.
. /vm/inner/lib.sh
verify first
verify second
