"""Between values in memory and bytes that are stored or sent."""
