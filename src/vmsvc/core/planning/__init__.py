"""What is to be done, in which order, and whether it may be: from what was seen to plans. Does nothing."""
