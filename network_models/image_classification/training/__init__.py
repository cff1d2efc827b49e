"""Training and judging of classifiers of scenes and of regions."""
