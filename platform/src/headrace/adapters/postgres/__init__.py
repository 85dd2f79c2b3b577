"""Headrace's own database: the catalogue of dataset versions, and locks."""
