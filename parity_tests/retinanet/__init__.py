"""The only room that knows both wings: the Keras reference and its port to torch behind one interface.

Both sides take and give numpy arrays, channels last, and variables by Keras name, so that what compares them needs to
know neither framework. A file of it needs the framework that it speaks to, and no other.
"""
