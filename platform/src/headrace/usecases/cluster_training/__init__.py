"""A training job on a cluster: launched by one process, followed by another, told the end of by a third."""
