"""Work that takes hours: processes, progress, journals, folders that can be gone on with."""
