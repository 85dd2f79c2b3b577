"""The embedded stack: PostgreSQL, MLflow, Airflow and the serving engine on one machine, under one supervisor.

`part` and `order` say what a stack is made of, `assembly` builds it from the settings, `lifecycle` starts and stops it, `status`
says how it is. Everything binds the loopback interface; everything it writes lies under `<home>`.
"""
