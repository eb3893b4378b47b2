"""What comes from outside: names, JSON and content that others made, each checked in one place."""
