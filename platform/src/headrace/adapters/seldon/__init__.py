"""Seldon Core on a Kubernetes cluster as the serving backend."""
