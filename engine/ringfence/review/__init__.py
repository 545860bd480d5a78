"""What stands between a changed policy and its use: tests of policies and rules."""
