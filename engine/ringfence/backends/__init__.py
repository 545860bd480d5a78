"""What an expression and a policy set mean, once per backend; backends do not know one another."""
