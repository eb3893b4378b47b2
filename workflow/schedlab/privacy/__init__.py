"""What must not be shared: names of machines, users and mirrors, and secrets."""
