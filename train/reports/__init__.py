"""Tables and plots, from the JSON that training and evaluation wrote."""
