#!/bin/sh
# environment.sh LOCK: makes /opt/venv with exactly the lock's packages, slimmed and byte-compiled.
set -eu

# Trusted is what the base image trusts: a company's own certificate authority goes into its own base image.
export PIP_CERT=/etc/ssl/certs/ca-certificates.crt UV_SYSTEM_CERTS=1
python3.12 -m pip install --quiet --no-cache-dir --root-user-action=ignore --disable-pip-version-check uv==0.13.9
uv venv --quiet --no-cache --python "$(command -v python3.12)" /opt/venv
uv pip sync --quiet --no-cache ${PIP_INDEX_URL:+--default-index "$PIP_INDEX_URL"} --python /opt/venv/bin/python "$1"

site=/opt/venv/lib/python3.12/site-packages
# What only a developer of these packages needs: their tests, and headers to compile against them.
find "$site" -type d -name tests -prune -exec rm -rf {} +
rm -rf "$site/tensorflow/include" "$site/pyarrow/include" "$site/numpy/_core/include"
# Symbols that only a linker or a debugger reads, where the builder has the tool. Not in every package: libraries that were
# patched after linking (the *.libs folders) do not survive it.
if command -v strip >/dev/null; then
    find "$site/tensorflow" "$site/pyarrow" -name '*.so*' -type f -exec strip --strip-unneeded {} +
fi

# A read-only container cannot keep what it compiles, so every start would compile anew. `unchecked-hash`: nobody edits the
# sources, so they are not even looked at, and the files are the same whenever they are built.
/opt/venv/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash "$site"
