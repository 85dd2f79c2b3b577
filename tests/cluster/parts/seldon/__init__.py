"""The Seldon adapter on a cluster."""
