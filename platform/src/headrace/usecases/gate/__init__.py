"""The gate between a candidate and what serves: `measure` gathers evidence, `judge` decides on it, `record` makes it known."""
