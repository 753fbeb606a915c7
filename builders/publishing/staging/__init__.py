"""Rendered folders checked before they are published: one file a kind."""
