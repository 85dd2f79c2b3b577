#!/bin/sh
# runtime.sh: makes the base image ready to run as an unprivileged user on a read-only file system. The same in every image, so
# its layer is stored once.
set -eu

# Nothing is installed at run time. The application's packages are in /opt/venv; those here are pip and its friends.
rm -rf /usr/local/lib/python3.12/site-packages/* /usr/local/lib/python3.12/ensurepip /usr/local/bin/pip*
# The official image comes without byte code, and a read-only container could not keep it.
python3.12 -m compileall -q -j 0 --invalidation-mode unchecked-hash \
    -x '/(test|idlelib|lib2to3|tkinter|turtledemo)/' /usr/local/lib/python3.12
groupadd --gid 10001 headrace
useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin headrace
