"""The signed API under `/symetry`: who may ask, what there is, and how it is answered."""
