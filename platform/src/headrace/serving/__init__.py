"""What runs inside a graph: nodes, combiner, and the embedded graph engine. An environment of its own (docker/serving)."""
