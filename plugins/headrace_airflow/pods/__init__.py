"""What runs in pods. Importing it imports the Kubernetes provider, which takes seconds: operators do so when they execute."""
