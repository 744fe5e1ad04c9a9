"""The steps of a search on a measured table: the same names as a board's, and nothing measured."""
