"""Whether this pod's Airflow component is alive: `heartbeat.py JOB_TYPE MAX_AGE_SECONDS [--lenient]`.

Its heartbeat in Airflow's database tells: the scheduler, the triggerer and the DAG processor each write one in their main loop,
so one that hangs is found out. `airflow jobs check` asks the same and takes eight seconds of CPU; this takes a tenth of one.
With --lenient a database that does not answer is no verdict: restarting the component would not bring it back.
"""

import os
import socket
import sys
from contextlib import closing

import psycopg2

QUERY = """
    SELECT extract(epoch FROM now() - max(latest_heartbeat)) FROM job
    WHERE job_type = %s AND hostname = %s AND state = 'running'
"""


def main() -> None:
    """Exit with 0 when the last heartbeat is young enough, with a sentence otherwise."""
    job_type, limit, lenient = sys.argv[1], float(sys.argv[2]), "--lenient" in sys.argv
    try:
        age = heartbeat_age(job_type)
    except psycopg2.OperationalError as error:
        sys.exit(0 if lenient else f"the database does not answer: {error}")
    if age is None or age > limit:
        sys.exit(f"no running {job_type} here" if age is None else f"the last heartbeat is {age:.0f} s old, limit {limit:.0f} s")


def heartbeat_age(job_type: str) -> float | None:
    """Seconds since the last heartbeat of the pod's component; None when it has not written any."""
    url = os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "", 1)
    with closing(psycopg2.connect(url, connect_timeout=5)) as connection, connection.cursor() as sql:
        sql.execute(QUERY, (job_type, socket.gethostbyname(socket.gethostname())))
        (age,) = sql.fetchone()
        return None if age is None else float(age)


if __name__ == "__main__":
    main()
