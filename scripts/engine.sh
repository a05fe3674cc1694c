# The test bed's engine, for the scripts beside this one: ended with them, unless it ran before. Sourced.

engine=tests/bed/engine.sh
engine_ran=0
"$engine" status >/dev/null 2>&1 && engine_ran=1
trap '((engine_ran)) || "$engine" stop' EXIT
