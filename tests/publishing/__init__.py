"""Publishing over real HTTP, with the real clients, against the test Hub: whole or not at all.

What the test Hub cannot prove stands in `tests/hub_server/README.md`. In-process publishes use the real client too;
only its pauses between tries are cut short. Fresh processes are used where imports, caches or death matter.
"""
