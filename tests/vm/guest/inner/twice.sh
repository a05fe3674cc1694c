# Everything, with the default repair; then as far as the daemon once more.
. /vm/inner/lib.sh
verify first
verify second --until daemon-info
