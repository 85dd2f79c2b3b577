"""A Kubernetes cluster behind the platform's ports."""
