"""The documentation of installed Python libraries as a collection, read without importing them."""
