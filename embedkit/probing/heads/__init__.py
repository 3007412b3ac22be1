"""The classifiers: small scikit-learn estimators, each with what it is tuned over."""
