//! Who this host is: instance, address, tags.
