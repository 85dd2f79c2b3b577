"""Headrace inside Airflow: operators and the task factories a pipeline's DAG is wired from."""
