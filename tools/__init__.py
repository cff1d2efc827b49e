"""Ground floor: numbers, files, scores, pictures and reports; nothing here imports keras."""
