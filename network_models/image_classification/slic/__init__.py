"""The classifier Slic and its small successor."""
