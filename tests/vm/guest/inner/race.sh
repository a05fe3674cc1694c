# Evacuations, $RUNS of them, while processes keep arriving. Each line of /out/runs: exit code, milliseconds, what is left in the root,
# what it gives its children, and the first failure.
. /vm/inner/lib.sh
root=/sys/fs/cgroup
touch /out/ready
for run in $(seq "$RUNS"); do
    for controller in $(<$root/cgroup.subtree_control); do echo "-$controller" >$root/cgroup.subtree_control; done
    [[ ! -e $root/init ]] || while read -r pid; do echo "$pid" >$root/cgroup.procs; done <$root/init/cgroup.procs 2>/dev/null
    began=${EPOCHREALTIME/./} code=0
    timeout -k 5 30 /vm/dindcheck verify --only cgroup-delegation --format json >/out/run.json 2>/dev/null || code=$?
    spent=$(((${EPOCHREALTIME/./} - began) / 1000))
    echo "$code|$spent|$(tr '\n' ' ' <$root/cgroup.procs)|$(<$root/cgroup.subtree_control)|$(grep -o '"error": .*\|"did": "moved[^"]*' /out/run.json | tr '\n' ' ')"
done >/out/runs
touch /out/done
