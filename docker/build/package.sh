#!/bin/sh
# package.sh SOURCE: makes /opt/package, which laid over /opt/venv adds headrace to it. A layer of its own, because it changes
# with every commit and the environment does not.
set -eu

export UV_SYSTEM_CERTS=1
uv pip install --quiet --no-cache ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} --python /opt/venv/bin/python \
    --prefix /opt/package --no-deps "$1"
/opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/package/lib/python3.12/site-packages
