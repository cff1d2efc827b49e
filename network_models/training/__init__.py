"""The one training path: a problem, its command, its run, and how a run is opened again."""
