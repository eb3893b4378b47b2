"""Commands of ``schedlab`` for people, one module a topic; each registers its own on the group."""
