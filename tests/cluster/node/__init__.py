"""The project's own single-node Kubernetes for tests: upstream's components on this machine, no registry, no virtual machine.

`python -m cluster.node up | down | status | images` (with tests/ on the path); README of the parts: cluster.py brings the
others into order.
"""
