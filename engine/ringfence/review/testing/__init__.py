"""Tests of policies: their cases, what they cover, what they would not notice, and what is missing."""
