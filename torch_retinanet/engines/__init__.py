"""Other runtimes than eager torch: those that detect, the fastest by measurement, and files with a certificate.

`registry` lists engines, `choice` takes one; `export` writes a file, and `verify` checks it without torch.
"""
