"""Two results side by side: what differs in what produced them, and in what came out."""
