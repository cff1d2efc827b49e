"""The users' commands that explain, invert and embed; they read finished runs and never write networks."""
