# An image whose only file is the binary: to be copied out of, or to look at the machine it runs on.
#
#   make dist && docker build -t dindcheck .
#   COPY --from=dindcheck /dindcheck /usr/local/bin/dindcheck       (in the Dockerfile of an outer image)
FROM scratch
COPY dist/dindcheck /dindcheck
ENTRYPOINT ["/dindcheck"]
