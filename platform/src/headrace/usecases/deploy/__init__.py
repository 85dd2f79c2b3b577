"""Deploying: what the registry desires is made what serves, one revision after the other, and back."""
