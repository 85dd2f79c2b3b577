#!/bin/sh
# Run once by the image, when the cluster is new: a database and a role of its own for each of the platform's parts.
set -eu
for name in airflow mlflow headrace; do
    password=$(printenv "$(printf '%s_PASSWORD' "$name" | tr '[:lower:]' '[:upper:]')")
    psql --set ON_ERROR_STOP=1 --username postgres --set name="$name" --set password="$password" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE CONNECT ON DATABASE :"name" FROM PUBLIC;
SQL
done
