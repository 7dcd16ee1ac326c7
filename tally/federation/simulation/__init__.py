"""A federation in one process and in virtual time, in which everything goes wrong by a seed."""
