"""A detector as operations that can be traced: for torch.export, and for what is made from it."""
