"""What several tests share: data sets, small models, faults, results."""
