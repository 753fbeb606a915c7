"""From rendered folders to the Hub; nothing else in the kit touches the Hub."""
