"""Raw data in the IDX format: finding the files, bringing them here, reading them by streaming."""
