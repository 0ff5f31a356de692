"""The command `neuraldeps`, a thin one: the workflow does the work."""
