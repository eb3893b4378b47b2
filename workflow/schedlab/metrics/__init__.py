"""What is computed from the tables: metrics of one trial, statistics over trials."""
