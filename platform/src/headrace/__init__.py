"""Headrace: from raw bytes to a replicated, aggregated, monitored endpoint, and back again when the world drifts.

This module stays empty of imports: the package is installed into two environments (platform and serving) that share no library.
"""

__version__ = "0.1.0"
