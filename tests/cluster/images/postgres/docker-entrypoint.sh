#!/bin/bash
# The part of the official entrypoint's contract that the chart relies on: a first start makes the database and runs
# /docker-entrypoint-initdb.d once; POSTGRES_PASSWORD(_FILE), POSTGRES_USER, POSTGRES_DB and POSTGRES_INITDB_ARGS are obeyed.
set -euo pipefail

if [[ ${1:-} == -* ]]; then
    set -- postgres "$@"
fi
if [[ ${1:-} != postgres ]]; then
    exec "$@"
fi

# from_file NAME: the variable, or the content of the file that NAME_FILE names.
from_file() {
    local file="${1}_FILE"
    if [[ -n ${!file:-} ]]; then
        export "$1=$(<"${!file}")"
        unset "$file"
    fi
}

initialise() {
    local script
    local -a options
    if [[ -z ${POSTGRES_PASSWORD:-} ]]; then
        echo "Database is uninitialized and superuser password is not specified: set POSTGRES_PASSWORD" >&2
        exit 1
    fi
    read -ra options <<< "${POSTGRES_INITDB_ARGS:-}"
    initdb --username="$POSTGRES_USER" --pwfile=<(printf '%s\n' "$POSTGRES_PASSWORD") --auth-host=scram-sha-256 \
        --auth-local=trust --encoding=UTF8 "${options[@]}"
    echo "host all all all scram-sha-256" >> "$PGDATA/pg_hba.conf"
    # Nobody reaches the server over the network until it is what the scripts make it.
    pg_ctl --wait start --options="-c listen_addresses=''"
    export PGUSER="$POSTGRES_USER"
    if [[ $POSTGRES_DB != postgres ]]; then
        psql --set=ON_ERROR_STOP=1 --set=name="$POSTGRES_DB" --dbname=postgres <<< 'CREATE DATABASE :"name"'
    fi
    for script in /docker-entrypoint-initdb.d/*; do
        case "$script" in
            *.sh) if [[ -x $script ]]; then "$script"; else . "$script"; fi ;;
            *.sql) psql --set=ON_ERROR_STOP=1 --dbname="$POSTGRES_DB" --file="$script" ;;
        esac
    done
    pg_ctl --wait --mode=fast stop
}

from_file POSTGRES_PASSWORD
from_file POSTGRES_USER
from_file POSTGRES_DB
export POSTGRES_USER="${POSTGRES_USER:-postgres}"
export POSTGRES_DB="${POSTGRES_DB:-$POSTGRES_USER}"

mkdir -p "$PGDATA"
chmod 0700 "$PGDATA" 2>/dev/null || true
if [[ ! -s $PGDATA/PG_VERSION ]]; then
    initialise
fi
unset POSTGRES_PASSWORD PGUSER
exec "$@" -c listen_addresses='*'
