"""How far a run of the workflow is: its state beside the results, and views of it."""
