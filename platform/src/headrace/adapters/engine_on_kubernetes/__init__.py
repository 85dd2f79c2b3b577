"""The platform's own graph engine in pods, on a cluster without Seldon: documents in ConfigMaps, which every engine follows."""
