"""MLflow: runs and registered models behind the platform's ports."""
