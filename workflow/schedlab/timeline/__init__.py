"""One trial on one time line, and the files in which other programs show it."""
