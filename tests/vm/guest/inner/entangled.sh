# A threaded root with an inner container that runs in a threaded child: nothing can be taken back while it runs.
. /vm/inner/lib.sh
start_inner
truth start -d --name here bb /busybox sleep 1000
picture before
verify entangled --only cgroup-delegation
picture after
docker rm -f here >/dev/null
verify free --only cgroup-delegation
picture free
stop_inner
