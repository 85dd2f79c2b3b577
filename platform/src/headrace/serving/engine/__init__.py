"""The embedded graph engine: runs SeldonDeployment documents with local processes, as Seldon Core does with pods."""
