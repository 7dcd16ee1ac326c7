"""One verb each: load, compute, save."""
