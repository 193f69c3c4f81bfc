"""What is played on the bench."""
