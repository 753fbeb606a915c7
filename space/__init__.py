"""An app that shows the plain query and the student's expansion side by side."""
