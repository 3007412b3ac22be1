"""Logistic regression for all values of C and all folds at once."""
